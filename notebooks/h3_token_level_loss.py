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
# # Limitation 3: token-level loss
#
# Token mean weighs every token alike, sequence mean every response. What does that change: the landscape, the
# gradient's noise, the constraint on KL? The verdicts, contradicted predictions first:

# %%
from analysis.hypotheses import h3_token_level_loss as judge
from analysis.reading import read
from experiments.studies import h3_token_level_loss as study

found = read(study, judge)
found.headline

# %% [markdown]
# ## Question
#
# What is estimated, what was predicted and what counts as large stood in the study's file before any run that judges
# it.

# %%
found.questions

# %% [markdown]
# ## Theory
#
# With $m_i$ the token mean of response $i$ and $l_i$ its length, over a batch (R5)
#
# $$\text{token mean} = \frac1B\sum_i m_i + \frac{\mathrm{Cov}_i(l_i, m_i)}{\bar l},$$
#
# for losses, gradients and curvatures alike. At $\lambda = 1$ and large $B$ token mean points along $\nabla J$;
# sequence mean points along $\nabla\,\mathrm E[R/l]$ without a baseline, and with one along no gradient of $J$. If
# tokens of a response have gradients of one variance and correlation $\rho$, the variances compare as (R6)
#
# $$\frac{\mathrm{Var}_\text{token}}{\mathrm{Var}_\text{sequence}}
#   = \frac{(1-\rho)/\mathrm E\,l + \rho\,(1+\mathrm{CV}^2)}{(1-\rho)\,\mathrm E(1/l) + \rho}.$$
#
# Scores are martingale differences, so $\rho$ is near 0 while advantages are nearly constant, and token mean is the
# quieter one. KL at equal step size is a matter of scale; $\kappa(d) = d^\top F d \,/\, 2(\nabla J\cdot d)^2$, KL per
# squared gain, is free of it.

# %% [markdown]
# ## Exact check
#
# On a sampled decision process whose responses stop when they like: the log ratio of gradient quality, token over
# sequence mean, and the cosine of each reduction's expected gradient to grad J. At λ = 1 the token mean's is 1.

# %%
import pandas as pd

from vapo_core.exact import reductions
from vapo_core.exact.plans import Reductions

table = pd.DataFrame(reductions.measure(Reductions(measure="reductions", lengths=(16,)), seed=7).arrays["reductions"])
table[["lambda", "log_quality", "cos_token", "cos_sequence", "cv"]].round(3)

# %% [markdown]
# ## Experiment
#
# Every level of evidence comes from a run of preset full in `results/` if there is one, else from quick runs in
# `runs/`: few seeds, used while building, good for seeing that the study works and what it could detect.

# %%
found.sources

# %% [markdown]
# ## Figures
#
# Log ratios of token over sequence mean: curvature against the covariance of length and curvature, quality of the
# gradient against the spread of lengths, KL per gain. 0 means that the two agree; lines mark the thresholds.

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
# - **h3a.** Curvatures that ignore the sign of the covariance of length and per-response curvature.
# - **h3b.** A gradient of lower quality under token mean although lengths vary: gradients within a response would
#   have to correlate more than $1/(1 + \mathrm E\,l)$.
# - **h3c.** Token mean paying more KL for the same gain of J on a task whose lengths vary.

# %% [markdown]
# ## On your own model
#
# ```
# vapo train --base.model Qwen/Qwen2.5-0.5B --task chain --probes curvature 15 gradient_quality 30 kl_per_gain 30
# vapo ablate --world lm --task chain --design leave-one-out --seeds 5
# ```
#
# `vapo show RUN` lists the log ratios. Both reductions are measured on the same weights and responses, so one run
# shows both.
