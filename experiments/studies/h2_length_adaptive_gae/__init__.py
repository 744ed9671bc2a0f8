"""Questions and runs of limitation 2, length-adaptive GAE."""
