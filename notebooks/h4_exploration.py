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
# # Limitation 4: exploration
#
# Do clip-higher, the positive-example loss and group sampling carry a policy out of a deep local optimum, and does
# that loss cost diversity? The verdicts, contradicted predictions first:

# %%
from analysis.hypotheses import h4_exploration as judge
from analysis.notebooks.reading import read
from experiments.studies import h4_exploration as study

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
# If a correct answer has probability $p$ under the base policy, $N$ responses hold one with probability (R10)
#
# $$1 - (1-p)^N \approx 1 - e^{-Np}.$$
#
# Before the first hit every reward is alike: advantages are 0, neither clip acts, the positive-example loss sums over
# nothing, and group sampling does not change $N$. So the depth (log-odds of the shortcut over the correct mode) that
# is escaped half of the time is $\log N$ plus a constant, and no component should move it by more than doubling the
# batch does, $\ln 2$.
#
# On policy $\mathrm E\,[R\sum_t\psi_t] = \nabla J$ (R7): the positive-example loss is parallel to the true gradient
# and sets a pace, about $1 + \mu/J$, rather than a path. What it adds is noise that does not end at $J = 1$, where
# PPO's advantage is 0: log-odds between correct modes then diffuse, and entropy over them falls with
# $\mu^2\eta^2\,\text{steps}/B$.

# %% [markdown]
# ## Exact check
#
# Chance of a hit against depth for two numbers of responses, formula and enumeration; then the depth of even odds,
# which doubling the responses moves by ln 2 = 0.69 nats.

# %%
import numpy as np
import pandas as pd

from experiments.exact_level import theory
from experiments.exact_level.plans import Theory

table = pd.DataFrame(theory.measure(Theory(measure="theory", result="r10"), seed=7).arrays["r10"])
(table["found"] - table["formula"]).abs().groupby(table["n"]).max().rename("largest difference").to_frame()

# %%
responses = pd.Series([1920, 3840, 7680, 15360], name="responses")
chance = 1 - 0.5 ** (1 / responses)
depth = pd.DataFrame({"depth of even odds, nats": np.log((1 - chance) / chance).to_numpy()}, index=responses).round(3)
depth.assign(moved=depth.diff())

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
# Share of directions found against depth, all three components on and off. Entropy over correct modes along J, with
# the loss, without it, and without it at a higher rate: curves that lie on each other differ in speed alone. The map
# shows where full VAPO stays in the trap.

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
# - **h4a.** A depth of even odds that moves by more than $\ln 2$ at equal samples. And for the paper's claim: full
#   VAPO runs that escape wherever right answers were to be expected.
# - **h4b.** Less entropy over correct modes at the same J with the loss than without, where the arm without it was
#   sped up as much.

# %% [markdown]
# ## On your own model
#
# ```
# vapo train --base.model Qwen/Qwen2.5-0.5B --task trap --probes exploration 5
# vapo train --base.model Qwen/Qwen2.5-0.5B --task routes --probes exploration 5 --toggles.no-positive-lm-loss
# ```
#
# To place your own task: sample a few thousand responses of the base policy, divide right answers by all, and compare
# the log-odds with the depth of even odds for your number of responses.
