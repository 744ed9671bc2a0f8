"""Questions and runs of limitation 1, value fidelity."""
