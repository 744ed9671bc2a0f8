# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: -all
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Limitation 5: generalisation
#
# Does the critic hold out of distribution, and does VAPO overfit more than methods without a critic? The verdicts,
# contradicted predictions first:

# %%
from analysis.hypotheses import h5_generalization as judge
from analysis.notebooks.reading import read
from experiments.studies import h5_generalization as study

found = read(study, judge)
found.headline

# %% [markdown]
# ## Question
#
# The questions are those of the limitations paper: Shao et al. (2025), *Towards Analyzing and Understanding the
# Limitations of VAPO: A Theoretical Perspective*, section 3. The estimand, the prediction and the threshold were
# declared in the study's file before any run that is used to judge it. R1 to R13 are the closed-form results of
# [METHODS.md](../METHODS.md), section 2.

# %%
found.questions

# %% [markdown]
# ## Theory
#
# Nothing in the value loss asks $\hat V$ to hold beyond the problems it saw, so its error relative to what there is
# to know,
#
# $$\mathrm{FVU} = \frac{\mathrm E\,(\hat V - V)^2}{\mathrm{Var}(V)},$$
#
# should rise out of distribution, once responses of one length and value are compared. The order of next steps should
# suffer less: a shift of level leaves it alone. Theory gives no size.
#
# A critic-free method such as GRPO divides by the group's standard deviation, hence follows
# $\sum_x w(p_x)\,\nabla p_x$ with (R13)
#
# $$w_G(p) = \frac{\mathrm E\,s_G}{p(1-p)} \;\xrightarrow{G\to\infty}\; \frac{1}{\sqrt{p(1-p)}},$$
#
# $s_G$ being the standard deviation of $G$ rewards. Near $\lambda = 1$ VAPO follows the same $\nabla p_x$ with other
# weights. At equal skill in distribution, equal skill beyond it is therefore the prediction.

# %% [markdown]
# ## Exact check
#
# The weight that a group of G answers gives to a problem solved with probability p, over its limit, by counting:
# 0.67, 0.84 and 0.94 at p = 0.2.

# %%
import numpy as np
import pandas as pd
from scipy.stats import binom

share = np.array([0.05, 0.2, 0.5])
right = {G: np.arange(G + 1)[:, None] / G for G in (4, 8, 16, 64)}
spread = {G: (binom.pmf(G * x, G, share) * np.sqrt(x * (1 - x))).sum(0) for G, x in right.items()}
pd.DataFrame(spread, index=pd.Index(share, name="p")).div(np.sqrt(share * (1 - share)), axis=0).round(2)

# %% [markdown]
# ## Experiment
#
# Each level of evidence comes from preset full in `results/` if that has been run, otherwise from quick runs in
# `runs/`: few seeds, used during development; they show that the study runs and which effects it can detect.

# %%
found.sources

# %% [markdown]
# ## Figures
#
# Error of the critic in and out of distribution as a share of Var(V), lengths and values matched, and the gap that
# its ranking captures. Accuracy out of distribution where runs first reach one accuracy in distribution, by method.

# %%
found.figures

# %% [markdown]
# ## Verdict
#
# Primary estimands have intervals at 1 − 0.05/16; all others, below them, have 95 % intervals and no verdict.

# %%
found.verdicts

# %%
found.secondary

# %% [markdown]
# ## What would change our mind
#
# - **h5a.** An error that stays within a tenth of Var(V), once length and V are matched, on orders of operators that
#   neither the base model nor the critic has met.
# - **h5b.** A gap of three points of accuracy out of distribution at one held-out accuracy in distribution, in either
#   direction, where training accuracy is well above the held-out one.

# %% [markdown]
# ## On your own model
#
# ```
# vapo train --base.model Qwen/Qwen2.5-0.5B --task chain --probes generalization 15 value_transfer 15
# vapo train --base.model Qwen/Qwen2.5-0.5B --task chain --recipe grpo --probes generalization 15
# ```
#
# A task of your own has splits out of distribution if its `sample` knows them by name, as `chain` does
# `ood_operator`.
