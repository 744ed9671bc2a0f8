"""Tables of finished runs: columns, selection of rows, numbers as text."""
