"""MLflow: its store, what a run writes there as it goes, and what can be read from it."""
