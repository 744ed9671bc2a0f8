"""Questions and runs of limitation 4, exploration."""
