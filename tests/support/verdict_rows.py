"""Verdicts found among those that a judge returns."""


def primary(found):
    only = [row for row in found if row.primary]
    assert len(only) == 1
    return only[0]


def row_of(found, words: str, level: str = ""):
    """The one row whose estimand has these words."""
    only = [row for row in found if words in row.estimand and level in ("", row.level)]
    assert len(only) == 1, [row.estimand for row in found]
    return only[0]
