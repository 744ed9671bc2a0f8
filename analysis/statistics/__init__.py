"""Statistics, one idea per file: arrays in, numbers and intervals out. Nothing here knows a table or a question."""
