"""Limitation 7, credit assignment: does blame reach the step that erred, and is credit given to steps or to tokens?"""

from analysis.questions import Floor, Question

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
}
