"""Judge, tables and figures of limitation 7, credit assignment."""
