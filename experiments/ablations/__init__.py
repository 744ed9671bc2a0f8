"""Every arm of a design on paired seeds: plan, run, publish."""
