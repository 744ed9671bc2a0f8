"""Infrastructure shared by processes: locks, heartbeats, databases, retries."""
