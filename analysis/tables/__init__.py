"""Tables of finished runs: their columns, rows by what they are, numbers as text."""
