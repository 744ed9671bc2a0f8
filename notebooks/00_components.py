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
# # What each component is worth
#
# VAPO adds seven components to PPO. The paper removed them one at a time, without intervals; how many runs stand
# behind a row it does not state. Here each removal is repeated on paired seeds, against the length of answers and the
# noise of a step, on a walk with exact answers and on text, with an interval beside every number.
# First, whether the sign agrees with the paper's:

# %%
from analysis.hypotheses import components as judge
from analysis.notebooks.reading import read
from experiments.studies import components as study

found = read(study, judge)
found.headline

# %% [markdown]
# ## Question
#
# The estimand, the prediction and the threshold were declared in the study's file before any run that is used to
# judge it.

# %%
found.questions

# %% [markdown]
# ## Theory
#
# Seed $i$ of both arms shares problems, base model, first critic head and sampling seeds, so a component is worth
#
# $$\theta = \frac1S \sum_{i=1}^S \bigl(\mathrm{AUC}_i^{\text{full}} - \mathrm{AUC}_i^{\text{without}}\bigr),$$
#
# the AUC being the area under the learning curve over RL steps, between 0 and 1. Nothing predicts its size. What
# theory says is when it must be 0: with no activity. One mini-batch per step leaves all ratios at 1, so neither clip
# acts; equal lengths make token mean and sequence mean the same; $\lambda_\text{policy} = 1 - 1/(\alpha l)$ equals a
# constant at one length.

# %% [markdown]
# ## Exact check
#
# What a component is worth depends on the critic. On one sampled decision process of 64 tokens, the useful share $Q$
# of the gradient's power for 512 responses, by λ (rows) and by the standard deviation of the critic's error
# (columns): an exact critic wants λ = 0, and every error moves the best λ up.

# %%
import pandas as pd

from experiments.exact_level import bias
from experiments.exact_level.plans import Bias

table = pd.DataFrame(bias.measure(Bias(measure="bias", lengths=(64,)), seed=7).arrays["bias"])
table["quality"] = table["along"] ** 2 / (table["power"] + table["noise"] / 512)
table.pivot(index="lambda", columns="size", values="quality").round(3)

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
# The effect of each component beside the paper's difference in points; the order of the seven, here and there, with
# the interval that chance alone would give; and, of preset full, main effects and interactions of all 128
# combinations.

# %%
found.figures

# %% [markdown]
# ## Estimates
#
# The limitations paper (Shao et al., 2025, *Towards Analyzing and Understanding the Limitations of VAPO: A Theoretical
# Perspective*) does not ask these questions: 95 % intervals, no verdicts. A decision appears only where a component's
# activity was too low to test it.

# %%
found.secondary

# %% [markdown]
# ## What would change our mind
#
# - An effect that changes its sign between tasks belongs to the task.
# - An effect that an equal change of learning rate, constant λ or number of prompts makes as well belongs to that
#   change.
# - An effect without activity is no effect, however narrow its interval.

# %% [markdown]
# ## On your own model
#
# ```
# vapo ablate --world lm --task chain --design leave-one-out --seeds 5
# vapo train --base.model Qwen/Qwen2.5-0.5B --task chain --toggles.no-clip-higher
# ```
#
# The first makes this table on another task, the second trains one arm from a checkpoint of yours. The README shows a
# task and verifier of one's own in twenty lines.
