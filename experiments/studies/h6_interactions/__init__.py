"""Questions and runs of limitation 6, interactions."""
