"""Questions and runs of limitation 3, the token-level loss."""
