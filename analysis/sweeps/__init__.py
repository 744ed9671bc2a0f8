"""What a sweep found, as numbers, figures and words."""
