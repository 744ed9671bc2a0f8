"""What notebooks call, and what runs them."""
