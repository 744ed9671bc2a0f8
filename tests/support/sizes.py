"""How much a test tries: enough in every run of the suite, more where `make soak` asks for it."""

import os

WORKERS = int(os.environ.get("VAPO_TEST_WORKERS", "4"))
"""Processes at one store at once."""

STRINGS = int(os.environ.get("VAPO_TEST_STRINGS", "2000"))
"""Random answers that a verifier is given."""
