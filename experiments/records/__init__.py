"""What a run writes as it goes: points and arrays."""
