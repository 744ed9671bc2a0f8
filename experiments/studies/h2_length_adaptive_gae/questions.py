"""Questions of limitation 2, length-adaptive GAE, as declared before the runs that answer them."""

from analysis.verdict.questions import Floor, Gate, Question

QUESTIONS: dict[str, Question] = {
    "h2a": Question(
        id="h2a",
        question="Is 1 - 1/(alpha l) the right way for lambda to follow the length l of an answer?",
        estimand=(
            "How far the best credit horizon is from growing in proportion to length: one minus the power of "
            "length by which it grows, 0 for VAPO's rule. The credit horizon 1/(1 - lambda) is the number of "
            "tokens over which credit is handed back; the best one gives the gradient of highest quality from 512"
            " responses. The critic's error differs from state to state and is frozen, with a standard deviation "
            "of 0.1. Length is made of more decisions of one kind, 64 to 16,384 of them, and every sampled "
            "decision process gives one slope. Other batches, errors and kinds of length, what each rule costs, "
            "and trained critics are secondary."
        ),
        unit="slope of log h* on log l",
        prediction=(
            "Positive, about 2/3, and derived beforehand (R4), so that agreement is a check of the derivation, "
            "not a discovery. A longer horizon averages the critic's errors away, and takes in more noise of "
            "later rewards; the balance moves with the cube root of the length. The limits are part of it: VAPO's"
            " rule is right where length is filler over which the error persists, or where errors reach in "
            "proportion to length; and an exact critic wants lambda = 0 at every length."
        ),
        threshold=0.25,  # a quarter off mis-sets h by a factor of 2 over a 16-fold range of lengths
        primary="exact",
        also=("walk", "tiny_lm"),
        floor=Floor("families whose h* lies inside the grid of horizons at every length, share of all", 0.8),
        definition=(
            "1 - beta, beta = d log h* / d log l: h* = 1/(1 - lambda*) maximises the gradient quality Q at B = "
            "512 responses, for a frozen error of standard deviation 0.1, independent from state to state, where "
            "length is made of more decisions of one kind; one slope per sampled family of five lengths from 64 "
            "to 16,384 tokens. Other batches, errors and kinds of length, regret of each form, and learned levels"
            " are secondary. Predicted: Positive, 2/3: bias^2 falls as (tau / (tau + h))^2 with the error's reach"
            " tau, variance grows as h/(2 l n), so h* = (4 sigma^2 tau^2 l n / v)^(1/3) (R4), while VAPO's h = "
            "alpha l has beta = 1. 1 - beta is 0 only where length is filler over which the error persists, or "
            "errors reach in proportion to length at a size that does not depend on it; an exact critic wants "
            "lambda = 0 at every length."
        ),
    ),
    "h2b": Question(
        id="h2b",
        question="How sensitive is the length-adaptive lambda to alpha, and when does it hurt long answers?",
        estimand=(
            "What the rule costs against the simplest alternative where lengths are mixed: area under the "
            "learning curve (AUC) with the best constant lambda, minus that with the best alpha. Each is the best"
            " of seven settings of equal horizons, 1 to 256 tokens at an answer of 32, chosen on one half of the "
            "seeds and scored on the other, so that luck in choosing does not count. The walk on a ring of 64 "
            "cells, problems of 8 to 64 decisions, every token a decision; 32 responses a step and a critic "
            "fitted to complete answers, since with many responses every lambda learns alike. Short problems (up "
            "to 16 decisions) and long ones (32 and more) apart, how wide a range of alpha is good, an alpha "
            "tuned on short problems and used on long ones, other rules, and text are secondary; so are cells "
            "with filler, which are derived: a constant lambda at f filler tokens is lambda^(f + 1) per decision."
        ),
        unit="AUC",
        prediction=(
            "Positive: by R4 the best horizon grows with the cube root of the length, so a constant misses it by "
            "a power of 1/3 and alpha l by a power of 2/3, and over an 8-fold range of lengths the rule costs "
            "more than the constant. An alpha tuned on short answers is too large for long ones, where it costs "
            "variance."
        ),
        threshold=0.03,  # a tenth of the samples: J at the end lies 0.3 above the mean of the curve, and 0.3 ln 1.1 = 0.03
        primary="walk",
        also=("exact", "tiny_lm"),
        floor=Floor("coefficient of variation of response length within a step, runs of mixed lengths", 0.3),
        gate=Gate(
            "AUC at alpha = 1/32 minus AUC at alpha = 8",
            "the ends of what is tried, on the question's own cells of mixed lengths",
            0.03,
        ),
        definition=(
            "theta = AUC(lambda*) - AUC(alpha*), AUC the mean over RL steps 0 to 30 of exact J, trapezoidal; "
            "lambda in {1 - 1/h}, alpha in {h/32}, h in {1, 4, 8, 16, 32, 64, 256}. The seeds are halved at "
            "random; lambda* and alpha* have the highest mean AUC on one half and are scored on the other, both "
            "ways round, mean of ten halvings; one theta per seed, Student's interval over seeds. Full VAPO "
            "otherwise, without length_adaptive_gae for the constants. alpha l is cut so that lambda lies in [0, "
            "1]."
        ),
    ),
}
