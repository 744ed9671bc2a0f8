"""Many runs at once: worker processes on this machine, or a Ray cluster."""
