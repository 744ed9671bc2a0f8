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
# # Limitation 1: value fidelity
#
# How wrong is the critic, what do its errors do to the policy, and does it forget? The verdicts, contradicted
# predictions first:

# %%
from analysis.hypotheses import h1_value_fidelity as judge
from analysis.notebooks.reading import read
from experiments.studies import h1_value_fidelity as study

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
# A trained critic $\hat V = V + e$ errs for two reasons. What its features $f$ cannot tell stays whatever the data;
# what it has not yet learned falls with the number $n$ of results, whose variance is $V(1-V)$:
#
# $$\mathrm{E}\,e^2 = \mathrm{E}\,\mathrm{Var}(V \mid f) + O\!\left(\tfrac{\mathrm{E}\,V(1-V)}{n}\right).$$
#
# The baseline that needs no critic is the mean reward $m$ of the $G-1$ other answers to the prompt. It misses what is
# decided within an answer and adds its own noise: with $p = V(s_0)$,
#
# $$\mathrm{E}\,(m - V)^2 = \mathrm{E}\,(p - V)^2 + \mathrm{E}\,\tfrac{p(1-p)}{G-1}.$$
#
# At $\lambda = 1$ either error is exactly the variance that the baseline adds to every token, so the two compare.
#
# An error that stays reaches the expected gradient through the bootstrapped terms alone (R1),
#
# $$\mathrm{E}\,\hat g - \nabla J = \sum_t \mathrm{E}\Bigl[\psi_t\,(1-\lambda)\sum_{k\ge0}\lambda^k e_{t+1+k}\Bigr],$$
#
# with $\psi_t = \nabla\log\pi(a_t\mid s_t)$. It is proportional to the error's size, vanishes at $\lambda = 1$, and
# vanishes for an error of position alone where all responses have one length, since a number that no action changes
# is a baseline. Forgetting has no such formula: a table keeps what it does not visit, a network shares its weights.

# %% [markdown]
# ## Exact check
#
# Relative bias of the gradient by λ (rows) and size of a frozen, state-dependent error (columns), then of an error of
# position alone: linear along a row, falling down a column to 0, and 0 everywhere in the second table.

# %%
import pandas as pd

from experiments.exact_level import bias
from experiments.exact_level.plans import Bias, Error

table = pd.DataFrame(bias.measure(Bias(measure="bias", lengths=(64,)), seed=7).arrays["bias"])
table.pivot(index="lambda", columns="size", values="bias").round(3)

# %%
inert = Bias(measure="bias", lengths=(64,), error=Error(kind="position"))
table = pd.DataFrame(bias.measure(inert, seed=7).arrays["bias"])
table.pivot(index="lambda", columns="size", values="bias").round(3)

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
# Errors as shares of Var(V): 1 is a critic that knows the mean alone, 0 an exact one; beside the critic, the mean of
# other answers, and the floor, which the same network reaches on as many answers as still help. Bias of the gradient
# against the error's size by λ. Error on rare and on frequent states before and after RL, with and without a critic
# that replays the rare ones.

# %%
found.figures

# %% [markdown]
# ## Verdict
#
# Primary estimands have intervals at 1 − 0.05/16; all others, below them, have 95 % intervals and no verdict.
#
# Of h1b at the exact level: R1 was checked on small trees before the study, so the prediction is not blind. The
# primary gives every position logits of its own; with one set for all positions the same error moves the gradient
# less where lengths vary. An error of 0.1 is half to three quarters of Var(V) on these problems; at a quarter of it the
# bias is 0.07. Situations are drawn anew at every token, so that an error correlated between positions of one
# situation does not persist along a response: on sampled paths its correlation at 1, 4 and 16 tokens is 0.36, 0.23 and
# 0.11, where 0.94, 0.78 and 0.37 was planted.

# %%
found.verdicts

# %%
found.secondary

# %% [markdown]
# ## What would change our mind
#
# - **h1a.** A critic that comes nearer the true value than the mean of other answers does, or as near: at these lengths
#   it would then be worth its cost as a baseline.
# - **h1b.** A bias that does not fall with λ, or that an error of position alone causes at one length: R1 would be
#   misapplied.
# - **h1c.** Rare states whose error does not grow: nothing was lost. Or one that grows as much in a twin that replays
#   them: what is lost is then not interference.

# %% [markdown]
# ## On your own model
#
# ```
# vapo train --base.model Qwen/Qwen2.5-0.5B --task chain --probes baseline_error 15 approximation_floor 15
# vapo train --base.model Qwen/Qwen2.5-0.5B --task chain --variants values state_error --settings.value-error-sd 0.2
# vapo train --base.model Qwen/Qwen2.5-0.5B --task chain --probes forgetting 15 --variants rehearsal rare
# ```
#
# `vapo show RUN` then lists `baseline_error/behind_train` (h1a) and `forgetting/fvu_rare_kept` (h1c); the
# second command is one dose of h1b, to compare with the same run without the error.
