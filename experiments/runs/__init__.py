"""One run from its spec to its row, and folders of finished runs."""
