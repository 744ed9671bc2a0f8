"""Questions of limitation 1, value fidelity, as declared before the runs that answer them."""

from analysis.verdict.questions import Floor, Question

QUESTIONS: dict[str, Question] = {
    "h1a": Question(
        id="h1a",
        question="How large is the critic's approximation error on long chains, and where?",
        estimand=(
            "FVU of full VAPO's critic minus FVU of the approximation floor (a copy of the same network, fitted to values"
            " of fresh answers, to held-out problems among them, until that stops improving), on held-out problems; mean of"
            " tasks text_walk and chain, and of the measurements before the first and after the last RL step. FVU ="
            " E[(V_hat - V)^2] / Var(V), continuation noise taken out. On text the copy learns from noisy results, so its"
            " floor is an upper bound and theta errs towards 0."
        ),
        unit="share of Var(V)",
        prediction=(
            "Positive. A critic's error is E Var(V | features), which no training removes, plus an estimation excess"
            " that falls as one over the number of results it has seen; after some thousands of results of variance"
            " V (1 - V), many times Var(V), the excess is not yet small. It should be larger in the first quarter of a"
            " response, where those targets vary most and bootstrapped ones arrive last (R9)."
        ),
        threshold=0.10,  # a baseline takes away 1 - FVU of the variance that V can, so 0.10 is a tenth of its use
        primary="tiny_lm",
        also=("walk",),
        floor=Floor(
            "share of Var(V) that the floor explains, 1 - its FVU: whether a value shows in the tokens at all", 0.2
        ),
    ),
    "h1b": Question(
        id="h1b",
        question="How does value error propagate into the update and the policy?",
        estimand=(
            "S(0.95) x 0.1: relative bias of the expected policy gradient, |E g - grad J| / |grad J|, caused at lambda ="
            " 0.95 by a frozen state-dependent error of standard deviation 0.1 added to exact values; from the slope in that"
            " deviation, mean of a problem of 64 tokens and one of 64 on average, sampled decision processes and error draws"
            " being the replicates; other lengths, lambda and errors are secondary. Learned levels: fall of the area"
            " under the learning curve per 0.1 of it, over 0 to 0.2, lambda fixed at 0.95, the error added when advantages"
            " are computed and never to targets."
        ),
        unit="relative bias at sigma = 0.1",
        prediction=(
            "Positive (R1): bias of the gradient is (1 - lambda) sum_k lambda^k of the errors ahead, hence linear in sigma,"
            " smaller the nearer lambda is to 1 and 0 there; 0 for errors of position alone where all responses have one"
            " length, and for noise drawn afresh, which enters as variance, in sigma^2."
        ),
        threshold=0.05,
        primary="exact",
        also=("walk", "tiny_lm"),
        floor=Floor(
            "standard deviation of the added error over states at one position, reward (of position alone: inert)", 0.05
        ),
    ),
    "h1c": Question(
        id="h1c",
        question="Does the critic forget rare but critical sub-paths as the policy shifts?",
        estimand=(
            "D = [E_rare - E_frequent](t1) - [E_rare - E_frequent](t0) of full VAPO, minus the same of a twin run whose critic"
            " also replays rare states (rehearsal = rare); E = squared error to V under the present policy over Var(V) of all"
            " places; t0 = before the first RL step, t1 = after the last; rare places of prompts that no twin rehearses."
        ),
        unit="share of Var(V)",
        prediction=(
            "Positive and growing with the policy's shift: one network serves all states, so fitting the states that the"
            " policy now visits moves its values on those it left, while a table would keep them (D = 0, no interference)."
        ),
        threshold=0.10,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor(
            "policy shift from t0 to t1, nats per response; besides, E_rare(t0) must lie below the position-only critic's, or"
            " nothing was there to forget",
            0.5,
        ),
    ),
}
