"""Functions for notebooks, and their execution."""
