"""Judge, tables and figures of limitation 6, interactions."""
