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
# # Limitation 7: credit assignment
#
# Does blame for an early error reach the step that made it, and does credit by segments save anything over credit by
# tokens? The verdicts, contradicted predictions first:

# %%
from analysis.hypotheses import h7_credit_assignment as judge
from analysis.notebooks.reading import read
from experiments.studies import h7_credit_assignment as study

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
# If an error at token $j$ costs value, and the critic sees it there, token $t \le j$ receives $\lambda^{j-t}$ of the
# blame. A step of $w$ tokens that ends at $j$ holds (R12)
#
# $$\frac{1-\lambda^w}{1-\lambda^{j+1}} \approx \frac{w}{h}, \qquad h = \frac{1}{1-\lambda},$$
#
# of it. Under VAPO's rule $h = \alpha l$: targeting is lost in proportion to length, slope $-1$ on log axes, while a
# constant $\lambda$ has slope 0. A critic that notices $d$ tokens late leaves $\lambda^d$ for the erring token; one
# that notices nothing blames the last tokens.
#
# Credit by segments of $m$ tokens at $\lambda_\text{segment} = \lambda_\text{token}^m$ has the same horizon. Where values
# are flat within a segment the two are one estimator; where the critic is noisy they differ by the noise of the values
# they bootstrap from.

# %% [markdown]
# ## Exact check
#
# Share of blame inside the erring step of 8 tokens, with true values, at five lengths of one sampled family; the
# slope of its logarithm on log length under VAPO's rule at α = 0.05, and under λ = 0.95.

# %%
import numpy as np
import pandas as pd

from experiments.exact_level import blame
from experiments.exact_level.plans import Blame

plan = Blame(measure="blame", lengths=(512, 1024, 2048, 4096, 8192), alphas=(0.05,), lambdas=(0.95,))
table = pd.DataFrame(blame.measure(plan, seed=7).arrays["blame"])
table["rule"] = np.where(table["alpha"] > 0, "VAPO, alpha = 0.05", "lambda = 0.95")
shares = table.pivot(index="length", columns="rule", values="log_share")

# %%
np.exp(shares).round(3)

# %%
pd.Series(np.polyfit(np.log(shares.index), shares, 1)[0], shares.columns, name="slope").round(2)

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
# Share of blame inside the erring step against length, with true values and with trained critics. Responses until a
# level of J against the number of decisions, credit by token and by segment at one horizon: parallel lines are equal
# exponents. Arrows count runs that did not get there. The map shows where full VAPO stays below half of what is
# achievable.

# %%
found.figures

# %% [markdown]
# ## Verdict
#
# Primary estimands have intervals at 1 − 0.05/16; all others, below them, have 95 % intervals and no verdict.
#
# Of h7a: with true values the slope is arithmetic. R12's formula for a step of 8 tokens, averaged over where the error
# stands, gives 0.94 without a sample; what varies between families is the draw of places. A step that grew with
# length would have slope 0 by the same formula. What was not known beforehand is how critics that err do, and there
# targeting is gone under a constant λ too: at 131,072 tokens, with noise of 0.1 on true values, the share in the
# erring step is below 0.001 at α = 0.05 and at λ = 0.95, and the lowest advantage stands in it in 1 % and in 33 % of
# responses; if the error is noticed 5 % of the length late, never. That the share at λ = 0 would be 1 is contradicted:
# it is 0.78, since other tokens lose value as well.

# %%
found.verdicts

# %%
found.secondary

# %% [markdown]
# ## What would change our mind
#
# - **h7a.** A share of blame that does not thin out with length under VAPO's rule, or thins out as fast under a
#   constant λ.
# - **h7b.** An exponent of samples on depth that differs between credit by segments and by tokens at one horizon. A gain
#   at an unmatched λ would be a gain of horizon.

# %% [markdown]
# ## On your own model
#
# ```
# vapo train --base.model Qwen/Qwen2.5-0.5B --task chain --probes credit 15
# vapo train --base.model Qwen/Qwen2.5-0.5B --task text_walk --variants credit step_level --settings.fixed-lambda 0.9025
# vapo trace RUN
# ```
#
# The last draws every token of a few responses in the colour of its advantage, its TD error or its true value.
