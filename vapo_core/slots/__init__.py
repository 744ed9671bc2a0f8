"""Slots of a recipe besides the seven components: each file has the default and named VARIANTS."""
