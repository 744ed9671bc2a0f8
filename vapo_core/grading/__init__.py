"""Grading of mathematical answers: find the final answer, compare it exactly where that is plain, else by math-verify."""
