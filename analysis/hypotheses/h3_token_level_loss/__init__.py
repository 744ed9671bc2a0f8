"""Judge, tables and figures of limitation 3, the token-level loss."""
