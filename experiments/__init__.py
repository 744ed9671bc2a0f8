"""Decides what to run, runs it, records it."""
