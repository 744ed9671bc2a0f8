"""MLflow: its store, live logging of a run, and reading runs back."""
