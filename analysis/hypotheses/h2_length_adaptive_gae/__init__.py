"""Judge, tables and figures of limitation 2, length-adaptive GAE."""
