"""Judge, tables and figures of limitation 5, generalisation."""
