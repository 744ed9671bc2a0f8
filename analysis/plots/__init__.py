"""How every figure looks and is saved."""
