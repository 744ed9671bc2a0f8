"""Questions of limitation 7, credit assignment, as declared before the runs that answer them."""

from analysis.verdict.questions import Floor, Question

QUESTIONS: dict[str, Question] = {
    "h7a": Question(
        id="h7a",
        question="Is blame for an early error targeted and timely in ultra-long sequences?",
        estimand=(
            "minus the slope of log share on log length under VAPO's rule, alpha = 0.05: share = blame max(0, -A) inside the"
            " erring step of 8 tokens over all blame of the response, mean over planted fatal errors, one per response, their"
            " places stratified over it; true values, so that the rule alone is judged; one slope per sampled family of five"
            " lengths from 512 to 131,072 tokens. Level of the share against 0.5, precision at 1, AUROC within a response,"
            " constant lambda, erring, late and blind critics, and learned levels are secondary."
        ),
        unit="slope of -log share on log length",
        prediction=(
            "Positive, near 1 (R12): tokens up to the error receive lambda^(distance) of it, so a step of w tokens holds"
            " (1 - lambda^w) / (1 - lambda^(j + 1)) of the blame, about w/(alpha l) once alpha l exceeds w: targeting is lost"
            " in proportion to length. Under a constant lambda it is 0, and at lambda = 0 the share is 1."
        ),
        threshold=0.25,
        primary="exact",
        also=("walk", "tiny_lm"),
        floor=Floor("true value lost at the planted error, mean, reward", 0.05),
    ),
    "h7b": Question(
        id="h7b",
        question="Is there temporal abstraction, or only token-by-token credit?",
        estimand=(
            "exponent of samples to J = 0.8 on the number of decisions (5, 9, 17; four tokens a decision), token-level credit at"
            " lambda = 0.95 minus step-level credit at 0.95^4, the same horizon; samples are responses, runs that do not get"
            " there are censored, and the values used carry an independent error of standard deviation 0.1 at every token,"
            " since a critic of the walk sees no difference between the tokens of a step. Without that error, samples at each"
            " number of decisions, and TD error at step boundaries beyond that of true values are secondary."
        ),
        unit="exponent",
        prediction=(
            "Negligible: at one horizon the two differ in the bootstrapped errors alone, (1 - lambda)/(1 + lambda) sigma^2 of"
            " noise after the token, 0.03 or 0.10 sigma^2 beside the sigma^2 of the token's own value, at any number of"
            " decisions; where values are flat within a step they are the same estimator. Tokens cost nothing, and steps"
            " abstract nothing, unless lambda is left as it was."
        ),
        threshold=0.15,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor(
            "root mean square TD error of the values used on tokens inside a step, reward; 0 if flat there", 0.05
        ),
        equivalence=True,
    ),
}
