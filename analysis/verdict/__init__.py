"""From an interval to a verdict: questions as declared, decisions, and how they are kept and shown."""
