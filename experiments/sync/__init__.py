"""Reconciliation of MLflow with the records, at both ends of a command and by `vapo sync`."""
