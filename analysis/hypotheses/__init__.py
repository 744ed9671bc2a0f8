"""One judge per limitation: a function per question, `score` for all of them, `figures` for plots."""
