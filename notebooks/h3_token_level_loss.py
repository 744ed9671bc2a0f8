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
from analysis.notebooks.reading import read
from experiments.studies import h3_token_level_loss as study

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
# Scores are martingale differences, so $\rho$ is near 0 while advantages are nearly constant, and token mean should be
# the quieter one. That takes the squared gradient of a response to grow as its length. With
# $n(l) = \mathrm E[\,|g_i|^2 \mid l_i = l\,]$, $g_i$ the sum over tokens, the ratio is
#
# $$\frac{\mathrm{Var}_\text{token}}{\mathrm{Var}_\text{sequence}}
#   \approx \frac{\mathrm E\,n(l)\,/\,(\mathrm E\,l)^2}{\mathrm E\,[\,n(l)/l^2\,]},$$
#
# which is R6's at $\rho = 0$ only for $n(l) \propto l$. It also compares gradients of different scale, which an
# optimiser absorbs. Free of that is noise over signal, $\mathrm{tr}\,S$ over the square of the part of
# $\mathrm E\,\hat g$ along $\nabla J$; and Q, which depends on the number of responses.
#
# KL at equal step size is a matter of scale; $\kappa(d) = d^\top F d \,/\, 2(\nabla J\cdot d)^2$, KL per squared
# gain, is free of it.

# %% [markdown]
# ## Exact check
#
# On a sampled decision process whose responses stop when they like: the log ratio of gradient quality, token over
# sequence mean, and the cosine of each reduction's expected gradient to grad J. At λ = 1 the token mean's is 1.

# %%
import pandas as pd

from experiments.exact_level import reductions
from experiments.exact_level.plans import Reductions

table = pd.DataFrame(reductions.measure(Reductions(measure="reductions", lengths=(16,)), seed=7).arrays["reductions"])
table[["lambda", "log_quality", "cos_token", "cos_sequence", "cv"]].round(3)

# %% [markdown]
# The same log ratio with one set of logits for all positions, at 64 responses (one optimiser step of the walk and of
# text), 512 and 4,096: which reduction is worth more depends on that number. log_noise is noise over signal.

# %%
from analysis.hypotheses.h3_token_level_loss.exact import BATCHES, quality

plan = Reductions(measure="reductions", lengths=(16,), shared=True)
shared = pd.DataFrame(reductions.measure(plan, seed=7).arrays["reductions"]).assign(batch=float(plan.batch))
shared[["lambda", "log_noise"]].join(pd.DataFrame({batch: quality(shared, batch) for batch in BATCHES})).round(3)

# %% [markdown]
# n(l), the squared gradient of whole responses by length, exact critic and λ = 1: it grows more slowly than l.

# %%
import numpy as np

from experiments.exact_level.family import member
from vapo_core.oracles.tabular import by_length

mdp = member(Reductions(measure="reductions"), 64, seed=7).mdp
tokens, chance = np.arange(mdp.shape[0] + 1.0), mdp.length_probabilities
lengths = [1, 2, 4, 8, 16, 32, 64, 128]
squares = [by_length(mdp, mdp.values, np.ones(len(tokens)), (tokens == n) * 1.0).square / chance[n] for n in lengths]
pd.Series(squares, pd.Index(lengths, name="l"), name="n(l)").round(4)

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
# Log ratios of the two reductions: sharpness against the covariance of length and curvature, noise over signal along
# training, quality of the gradient by number of responses, KL per gain. 0 means that the two agree; bands mark the
# thresholds.

# %%
found.figures

# %% [markdown]
# ## Verdict
#
# Primary estimands have intervals at 1 − 0.05/16; all others, below them, have 95 % intervals and no verdict.
#
# Of h3b at the exact level: if all positions share their logits, token mean has 2.3 to 2.8 times the noise of sequence
# mean per unit of signal, which supports the paper's worry. At 64 responses sequence mean is worth more (by 0.4 to 0.6
# nats), at 512 they are alike, at 4,096 token mean is worth a little more, since sequence mean points away from grad J.
# With logits by position the sign at 64 depends on how much lengths vary. R6's formula misses the variances by 1 to 2
# nats for the reason above: about 6 % of responses, of four tokens or fewer, carry 70 % of sequence mean's variance.
# What tiny transformers and the walk do stands in rows of their own.

# %%
found.verdicts

# %%
found.secondary

# %% [markdown]
# ## What would change our mind
#
# - **h3a.** Sharpness that ignores the sign of the covariance of length and per-response curvature, as where slopes move
#   as curvatures do.
# - **h3b.** More noise over signal under token mean although lengths vary: gradients within a response correlate more
#   than $1/(1 + \mathrm E\,l)$; long answers have smaller gradients per token than short ones, as with shared logits at
#   the exact level; or sequence mean has the larger expected gradient.
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
