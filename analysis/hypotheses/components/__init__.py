"""Judge, tables and figures of the component study."""
