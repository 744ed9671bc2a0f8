"""Results of a sweep as numbers, figures and text."""
