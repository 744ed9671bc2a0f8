"""Logistic regression under Firth's penalty: finite estimates where outcomes are separated or all alike.

Firth (Biometrika 80:27, 1993): maximise log-likelihood + log det(X'WX) / 2, Jeffreys' prior, which also takes the leading
term of the bias away (Heinze and Schemper, Statistics in Medicine 21:2409, 2002).
"""

import numpy as np
from scipy.special import expit

from analysis.statistics.logistic import Array, Data, Fit, Local, highest


def firth(data: Data, span: Array | None = None) -> Fit:
    """The penalised maximum over coefficients span @ g, span [K, M], all if not given; the penalty is that of all K.

    Raises:
        ValueError: if columns of the design depend on each other, so that there is no single maximum.
    """
    count = data.design.shape[1]
    if np.linalg.matrix_rank(data.design) < count:
        raise ValueError("the design has linearly dependent columns: their effects cannot be separated")
    return highest(lambda at: penalised(data, at), np.eye(count) if span is None else span, close=1e-17)


def penalised(data: Data, coefficients: Array) -> Local:
    """Penalised log-likelihood; height -inf where the information is singular."""
    design, hits, trials = data
    odds = design @ coefficients
    p = expit(odds)
    weighted = design * (trials * p * (1 - p))[:, None]
    information = weighted.T @ design
    sign, determinant = np.linalg.slogdet(information)
    if sign <= 0 or not np.isfinite(determinant):
        return Local(float("-inf"), np.zeros_like(coefficients), np.eye(len(coefficients)))
    height = hits @ odds - trials @ np.logaddexp(0, odds) + determinant / 2
    leverage = np.einsum("nk,kn->n", weighted, np.linalg.solve(information, design.T))
    return Local(float(height), design.T @ (hits - trials * p + leverage * (0.5 - p)), information)
