"""Judges on data whose truth was planted: how often they support, refute and hold back where they should not.

A module per study, named by its stem, offers `SIMULATIONS: dict[str, Callable[[float, np.random.Generator], Tables]]`,
question id -> simulate(theta, rng): tables of the study's own design, in which the question's estimand is theta.
"""
