"""Judge, tables and figures of limitation 1, value fidelity."""
