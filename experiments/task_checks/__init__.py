"""Properties of the language tasks, and quality of their base models."""
