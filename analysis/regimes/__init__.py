"""The rule for failing regimes, and the results of the search for them."""
