"""What processes share: locks, signs of life, databases, retries."""
