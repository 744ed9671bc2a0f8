"""Questions and runs of limitation 7, credit assignment."""
