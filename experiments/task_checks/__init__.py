"""What the language tasks offer an experiment, and how good their base models are."""
