"""Language models as policy and critic: base models made here, checkpoints from anywhere, adapters, text."""
