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
# # Limitation 6: interactions and guarantees
#
# What is left of PPO's guarantee of improvement with all seven components, and which of them interact? The verdicts,
# contradicted predictions first:

# %%
from analysis.hypotheses import h6_interactions as judge
from analysis.notebooks.reading import read
from experiments.studies import h6_interactions as study

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
# PPO's argument bounds what the surrogate gets wrong. With every ratio in $[1-\varepsilon_l, 1+\varepsilon_h]$ (R8)
#
# $$\mathrm{TV} \le \frac{\varepsilon_l\,\varepsilon_h}{\varepsilon_l+\varepsilon_h}, \qquad
# |\Delta J - L| \le 2\,l(l-1)\,\mathrm{TV}^2 \max|A|,$$
#
# which passes 1, all that rewards can differ by, from $l = 8$ at 0.2/0.2 and from $l = 7$ at 0.2/0.28. Nothing is
# guaranteed at lengths of interest; the shift that the bound covers is usually far smaller than the bound. What an
# update of infinitely many responses still gets wrong is its objective: $\lambda < 1$ under a wrong critic (R1),
# whitening's shift, the imitation loss, the clip.
#
# Value pretraining and decoupled GAE both remove the critic's initial error. At distance $d$ from the end that
# error survives $n$ sweeps of $\lambda_c$-targets in proportion to
# $P(\text{sum of } n \text{ geometric}(1-\lambda_c)\text{ jumps} < d)$ (R9): one sweep is enough at $\lambda_c = 1$.
# Whichever comes second has little left to remove, hence a negative interaction.

# %% [markdown]
# ## Exact check
#
# VAPO's update with an infinite batch on a small sampled decision process: change of J, what its surrogate promised,
# the shift between the two, and the bound on that shift.

# %%
import pandas as pd

from experiments.exact_level import updates
from experiments.exact_level.plans import Updates

table = pd.DataFrame(updates.measure(Updates(measure="updates"), seed=7).arrays["updates"])
table[["j", "delta_j", "surrogate", "shift", "bound", "tv"]].head(8).round(3)

# %%
lengths = pd.Series(range(2, 13), name="length")
variation = {"0.2/0.2": 0.1, "0.2/0.28": 0.2 * 0.28 / 0.48}
bounds = pd.DataFrame({name: 2 * lengths * (lengths - 1) * tv**2 for name, tv in variation.items()})
bounds.set_index(lengths).T.round(2)

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
# Change of the true J per update against what the surrogate promised, at infinite batch, along training. Main effects
# and two-way interactions on AUC and on its log-odds: an effect whose sign differs between the two depends on the
# scale of the score.

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
# - **h6a.** Fewer than one harmful update in twenty at infinite batch: bias would be no practical matter, and sampled
#   failures a matter of batch size.
# - **h6b.** An interaction that is positive, or whose sign changes with the scale of the score.

# %% [markdown]
# ## On your own model
#
# ```
# vapo train --base.model Qwen/Qwen2.5-0.5B --task chain --probes improvement 5
# vapo ablate --world lm --task chain --design fractional-factorial --seeds 5
# ```
#
# The probe reads the change of J by importance weights on fresh responses; without that pairing the sign of one
# update is not distinguishable from noise.
