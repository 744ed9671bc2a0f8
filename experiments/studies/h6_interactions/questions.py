"""Questions of limitation 6, interactions, as declared before the runs that answer them."""

from analysis.verdict.questions import Floor, Question

QUESTIONS: dict[str, Question] = {
    "h6a": Question(
        id="h6a",
        question="How does the combination of VAPO's enhancements affect the guarantees of PPO?",
        estimand=(
            "share of full VAPO's updates that lower the true J over the training problems (by more than 1e-6, the arithmetic's"
            " precision) if every mini-batch were infinitely large: the recipe's own update from the weights it has reached,"
            " with 8,192 responses in place of 256, equally many optimiser steps, Adam's mean gradient set to that of these"
            " responses. One share per run, over its RL steps."
        ),
        unit="share of updates",
        prediction=(
            "Positive. The bound that guarantees improvement, 2 l (l - 1) TV^2 max|A|, exceeds 1 from 8 tokens on at clip"
            " 0.2 / 0.2 and from 7 at 0.2 / 0.28 (R8), so nothing is guaranteed. The shift it bounds is far smaller; what"
            " fails is the objective: lambda < 1, whitening's shift, the imitation loss and the clip leave a bias (R1, R7)"
            " that stays as grad J falls, so near convergence updates follow the bias. Sampled updates fail besides, with"
            " probability about Phi(-signal / noise), under any guarantee."
        ),
        threshold=0.05,
        primary="walk",
        also=("exact", "tiny_lm"),
        floor=Floor("total variation between new and old policy, mean over tokens of an update", 0.001),
    ),
    "h6b": Question(
        id="h6b",
        question="Which components interact, and do combinations fail where single ones do not?",
        estimand=(
            "minus the interaction value_pretraining x decoupled_gae (the AB/2 contrast: half the difference between"
            " the effect of value pretraining with decoupled GAE and without) on the area under the curve of exact J, over"
            " all settings of the other five, critics starting with a bias of 1 (critic_bias = 1). The same sign is asked of"
            " the contrast on log-odds: where it differs nothing is decided, where that interval lies wholly on the other"
            " side the verdict is conditional."
        ),
        unit="AUC",
        prediction=(
            "Positive, that is a negative interaction: both components take away one and the same initial error (R9: pretraining"
            " before RL starts, lambda_critic = 1 in one sweep), so the second has little left to do. A fresh head says about"
            " 0 where values are about 0.2, so there would be no error to take away; a bias of 1, the whole range of rewards,"
            " stands for a critic made from a reward model. Also: decoupled x length_adaptive differs from 0 by construction"
            " (without decoupling the critic takes the policy's lambda); the rest are near 0."
        ),
        threshold=0.02,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor(
            "critic's mean squared error to returns at the first step without value pretraining, less that with it, reward^2",
            0.1,
        ),
    ),
}
