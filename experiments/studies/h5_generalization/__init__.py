"""Questions and runs of limitation 5, generalisation."""
