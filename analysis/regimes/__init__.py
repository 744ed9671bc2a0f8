"""Which regimes count as failing, and what the search for them looked like."""
