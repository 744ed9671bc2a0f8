"""Questions of limitation 2, length-adaptive GAE, as declared before the runs that answer them."""

from analysis.verdict.questions import Floor, Question

QUESTIONS: dict[str, Question] = {
    "h2a": Question(
        id="h2a",
        question="Is 1 - 1/(alpha l) the optimal form?",
        estimand=(
            "1 - beta, beta = d log h* / d log l: h* = 1/(1 - lambda*) maximises the gradient quality Q at B = 512 responses,"
            " for a frozen error of standard deviation 0.1, independent from state to state, where length is made of more"
            " decisions of one kind; one slope per sampled family of five lengths from 64 to 16,384 tokens. Other batches,"
            " errors and kinds of length, regret of each form, and learned levels are secondary."
        ),
        unit="slope of log h* on log l",
        prediction=(
            "Positive, 2/3: bias^2 falls as (tau / (tau + h))^2 with the error's reach tau, variance grows as h/(2 l n), so h*"
            " = (4 sigma^2 tau^2 l n / v)^(1/3) (R4), while VAPO's h = alpha l has beta = 1. 1 - beta is 0 only where length"
            " is filler over which the error persists, or errors reach in proportion to length at a size that does not"
            " depend on it; an exact critic wants lambda = 0 at every length."
        ),
        threshold=0.25,  # a quarter off mis-sets h by a factor of 2 over a 16-fold range of lengths
        primary="exact",
        also=("walk", "tiny_lm"),
        floor=Floor("families whose h* lies inside the grid of horizons at every length, share of all", 0.8),
    ),
    "h2b": Question(
        id="h2b",
        question="How sensitive is it to alpha, and when does it hurt long sequences?",
        estimand=(
            "area under the learning curve of the best constant lambda minus that of the best alpha, each chosen on the other"
            " half of the seeds (mean of ten halvings) from eight settings of equal horizons, 1 to 128 tokens at a length of"
            " 16; mixed lengths: a ring of 32 cells with problems of 2 to 32 decisions. Short (up to 8) and long (from 17)"
            " problems apart, the width in decades of the alphas within 0.02 AUC of the best, and an alpha tuned on short"
            " problems but used on long ones are secondary."
        ),
        unit="AUC",
        prediction=(
            "Positive: where the best horizon goes with the cube root of the length (R4), a constant misses it by a power of"
            " 1/3 and alpha l by a power of 2/3, so at lengths that differ 16-fold the rule costs more than the constant does."
            " The best alpha falls as l^(-2/3); one tuned on short answers is too large for long ones, which costs variance,"
            " and a horizon ten times too short costs five times as much as one ten times too long (33 to 6.7)."
        ),
        threshold=0.02,
        primary="walk",
        also=("exact", "tiny_lm"),
        floor=Floor("coefficient of variation of response length within a step, runs of mixed lengths", 0.3),
    ),
}
