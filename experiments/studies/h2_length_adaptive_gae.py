"""Limitation 2, lambda = 1 - 1/(alpha l): is it the right form, and how much hangs on alpha?"""

from analysis.questions import Floor, Question

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
}
