"""What a run writes while it trains: points and arrays."""
