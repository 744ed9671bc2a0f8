"""Statistics, one idea per file: arrays in, numbers and intervals out; independent of tables and questions."""
