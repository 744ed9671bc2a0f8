"""Bad input, a table per command: what is given, what is planted before, and the one line that has to be said."""
