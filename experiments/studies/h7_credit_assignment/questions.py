"""Questions of limitation 7, credit assignment, as declared before the runs that answer them."""

from analysis.verdict.questions import Floor, Gate, Question

QUESTIONS: dict[str, Question] = {
    "h7a": Question(
        id="h7a",
        question=("In very long answers, does the blame for an early error reach the step that made it, and in time?"),
        estimand=(
            "How fast the share of blame that falls on the erring step thins out as answers get longer, under "
            "VAPO's rule with alpha = 0.05: minus the power of length by which the share falls. Blame is a "
            "negative advantage; a fatal error is planted in each answer, anywhere in it, and true values are "
            "used, so that the rule alone is judged. A step has 8 tokens; 512 to 131,072 tokens, and every "
            "sampled decision process gives one slope. The level of the share, whether the lowest advantage is "
            "the error's, constant lambda, erring, late and blind critics, and trained critics are secondary."
        ),
        unit="slope of -log share on log length",
        prediction=(
            "Positive, near 1, by arithmetic (R12): this slope is an identity of the rule, worked out beforehand,"
            " and the runs check the computation. With a horizon of alpha l tokens, a step of w tokens holds "
            "about w/(alpha l) of the blame. Under a constant lambda the slope is 0, and at lambda = 0 all blame "
            "is in the erring step."
        ),
        threshold=0.25,
        primary="exact",
        also=("walk", "tiny_lm"),
        floor=Floor("true value lost at the planted error, mean, reward", 0.05),
        definition=(
            "minus the slope of log share on log length under VAPO's rule, alpha = 0.05: share = blame max(0, -A)"
            " inside the erring step of 8 tokens over all blame of the response, mean over planted fatal errors, "
            "one per response, their places stratified over it; true values, so that the rule alone is judged; "
            "one slope per sampled family of five lengths from 512 to 131,072 tokens. Level of the share against "
            "0.5, precision at 1, AUROC within a response, constant lambda, erring, late and blind critics, and "
            "learned levels are secondary. Predicted: Positive, near 1 (R12): tokens up to the error receive "
            "lambda^(distance) of it, so a step of w tokens holds (1 - lambda^w) / (1 - lambda^(j + 1)) of the "
            "blame, about w/(alpha l) once alpha l exceeds w: targeting is lost in proportion to length. Under a "
            "constant lambda it is 0, and at lambda = 0 the share is 1."
        ),
    ),
    "h7b": Question(
        id="h7b",
        question="Is there temporal abstraction, or only credit token by token?",
        estimand=(
            "Whether giving credit to stretches of several decisions, in place of single tokens, makes long "
            "answers cheaper to learn. Samples until J reaches 0.8 grow as a power of the number of decisions (6,"
            " 12, 24; sampled answers are longer); the estimate is that power with credit by token at lambda = "
            "0.95, minus that with credit by segments of four decisions at 0.95^4, the same horizon. Every token "
            "is a decision. Samples are responses; runs that do not get there, or have lost it again by the end, "
            "are censored. The values used carry a frozen error of standard deviation 0.1 from state to state, "
            "what a good critic is off by. Without that error, with lambda left at 0.95 per segment, at single "
            "lengths, and text are secondary; so are cells with filler, which are derived."
        ),
        unit="exponent",
        prediction=(
            "Negligible: at one horizon the two differ by a factor that does not know how long the answer is. A "
            "segment shares one advantage, which adds the noise of its other decisions; and it uses a quarter as "
            "many values, whose errors average out less, (1 - lambda)/(1 + lambda) sigma^2 being 0.03 sigma^2 by "
            "token and 0.10 sigma^2 by segment. Steps abstract nothing unless the horizon changes."
        ),
        threshold=0.2,  # over a fourfold range of decisions, 4^0.2 = 1.32 times the samples
        primary="walk",
        also=("tiny_lm",),
        floor=Floor("mean decisions of a response over the four of a segment", 2.0),
        equivalence=True,
        gate=Gate(
            "exponent with credit by token at lambda = 0 minus that at lambda = 1",
            "the question's own lengths, values in error as there",
            0.2,
        ),
        definition=(
            "theta = b_token - b_segment in log N = a_arm + b_arm log D + sd e, e standard normal, N responses "
            "until exact J first reaches 0.8 (linear between measurements every other step), D decisions of a "
            "shortest right answer; right-censored at the last step, as are runs whose last J is below 0.4; one "
            "sd for both arms; seeds that have every cell; interval by leaving out one seed at a time. By "
            "segment: A of segment j is GAE over segments, delta_j = V(s_{4(j+1)}) - V(s_{4j}), reward at the "
            "end, lambda 0.8145 per segment, shared by its decisions; value targets token by token in both. "
            "Values: V_hat + 0.1 z(state), z frozen normal, added to advantages only."
        ),
    ),
}
