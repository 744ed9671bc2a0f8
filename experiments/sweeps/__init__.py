"""Searches over settings with Optuna."""
