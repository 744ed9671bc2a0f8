"""Effects of arms, factorials and grids, as tables and figures."""
