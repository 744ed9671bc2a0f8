"""Ground truth to hold estimates against."""
