"""Judge, tables and figures of limitation 4, exploration."""
