"""Questions of limitation 4, exploration, as declared before the runs that answer them."""

from analysis.verdict.questions import Floor, Question

QUESTIONS: dict[str, Question] = {
    "h4a": Question(
        id="h4a",
        question="Do clip-higher, positive-LM loss and group-sampling suffice to escape deep local optima?",
        estimand=(
            "depth at which half of the runs escape, clip_higher, positive_lm_loss and group_sampling all on minus all off at"
            " equal samples. Depth: exact log-odds, under the base policy, of stopping early (right by luck in 1 of 5) over a"
            " right answer that takes 5 decisions. Escape: exact J after 60 steps of 256 responses above 0.6, halfway between"
            " the shortcut and 1. Depths span 0.1 to 500 right answers expected of that many responses of the base; 64"
            " prompts. Each component alone, and a guessing trap on text at three depths, are secondary."
        ),
        unit="nats",
        prediction=(
            "Negligible: the first right answer comes with probability 1 - (1 - p)^N, which none of the three changes (R10):"
            " before it there is nothing right to imitate, no good ratio to clip, and N is the same. What the loss adds after"
            " a first hit, mu/J of the policy's own gradient, it adds to lucky guesses as well. Doubling the samples is"
            " worth ln 2."
        ),
        threshold=0.693,  # ln 2, the value of twice the samples
        primary="walk",
        also=("tiny_lm",),
        floor=Floor("smaller of two shares, runs that escape and runs that do not, over all depths and both arms", 0.1),
        equivalence=True,
    ),
    "h4b": Question(
        id="h4b",
        question="Does it converge prematurely; does the positive-LM loss over-exploit?",
        estimand=(
            "normalised entropy over the two ways of being right at J = 0.9, mu = 0.1 minus mu = 0: exact probabilities of both"
            " goals of a ring, mean over held-out problems, linear in J between measurements every other step. J = 0.5, one"
            " epoch in place of two, 200 optimiser steps after J > 0.95, an arm without the loss whose rate is 1.2 times"
            " (1 + mu/J at J = 0.5), half-life of entropy on fixed prefixes, and text are secondary."
        ),
        unit="share of log(modes)",
        prediction=(
            "Negligible at equal J: on policy the loss's expected gradient is parallel to that of J (R7), so it changes speed,"
            " not path. After saturation it keeps its noise where the advantage has none, and diversity is lost by drift, by"
            " a variance of mode log-odds of about mu^2 eta^2 steps / B."
        ),
        threshold=0.05,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor(
            "gradient norm of the positive-example loss over the surrogate's, mean of runs with the loss", 0.02
        ),
        equivalence=True,
    ),
}
