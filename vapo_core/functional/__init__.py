"""Pure functions on tensors: advantages, losses, gradients of single responses, curvature. No configuration enters."""
