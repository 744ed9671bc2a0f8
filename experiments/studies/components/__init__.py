"""Questions and runs of the component study."""
