"""What runs take, before they start: time and memory."""
