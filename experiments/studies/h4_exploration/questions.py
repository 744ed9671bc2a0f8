"""Questions of limitation 4, exploration, as declared before the runs that answer them."""

from analysis.verdict.questions import Floor, Gate, Question

QUESTIONS: dict[str, Question] = {
    "h4a": Question(
        id="h4a",
        question=("Do clip-higher, the positive-example loss and group sampling suffice to escape deep local optima?"),
        estimand=(
            "How much deeper a trap is escaped with all three components on than with all three off, at equal "
            "samples. The trap is a shortcut: stopping early, right by luck in 1 of 5 cases, while a right answer"
            " takes 5 decisions. Its depth is the exact log-odds, under the base policy, of taking the shortcut "
            "over answering right. A problem's goal lies to the left or to the right, and a policy may find one "
            "direction without the other, so what counts is the share of directions found after 60 steps of 256 "
            "responses, read from exact J: one above 0.4, both above 0.8. The estimate is the shift of the depth "
            "at which half of the directions are found. 64 prompts; 100 seeds where runs part. Each component "
            "alone, other ways to explore (an entropy bonus, a higher temperature, other group sizes at equal "
            "samples, dynamic sampling), and a guessing trap on text are secondary."
        ),
        unit="nats",
        prediction=(
            "Negligible: the first right answer comes with probability 1 - (1 - p)^N, and none of the three "
            "changes p or N (R10). Before it there is nothing right to imitate and no good ratio to clip. What "
            "the loss adds after a first hit it adds to lucky guesses as well. Doubling the samples is worth ln "
            "2."
        ),
        threshold=0.693,  # ln 2, the value of twice the samples
        primary="walk",
        also=("tiny_lm",),
        floor=Floor("smaller of two shares, directions found and not found, over all depths and both arms", 0.1),
        equivalence=True,
        definition=(
            "theta = d50(all three on) - d50(all three off), nats. Depth d = mean over held-out problems of log "
            "P(stops early, unbroken) - log P(right answer), exact under the base policy at temperature 1, mean "
            "over seeds by dial. A run counts as two trials at its depth, of which [J > 0.4] + [J > 0.8] succeed:"
            " 0.2, 0.6 and 1 are what no, one and both directions earn. logit P(found) = s (d50 - d) with one "
            "slope s for both arms, Firth's penalty; interval by leaving out one seed at a time with all its "
            "runs, never narrower than the profile likelihood's. Pairs of seed and depth that both arms have "
            "count."
        ),
    ),
    "h4b": Question(
        id="h4b",
        question=(
            "Does VAPO converge prematurely: does the positive-example loss over-exploit the ways of being right "
            "that it has found?"
        ),
        estimand=(
            "How many ways of being right are left once the policy is good: entropy over two equally good goals "
            "of a ring, as a share of its maximum, 200 optimiser steps after J first reached 0.95, with the "
            "positive-example loss (mu = 0.1) minus without. Both arms are as good there, so that speed is no "
            "part of the answer. The goals' probabilities are exact, averaged over held-out problems; J and "
            "entropy are measured every fourth RL step and read linearly in between. Two epochs a batch, the "
            "policy's rate a quarter of the suite's own. One epoch, the moment of J = 0.9 or 0.5, a run without "
            "the loss that is 1.2 times as fast (1 + mu/J at J = 0.5), entropy on fixed prefixes, and text are "
            "secondary."
        ),
        unit="share of log(modes)",
        prediction=(
            "Negligible. On policy the loss's expected gradient is parallel to that of J (R7), so that it changes"
            " speed, not path. After saturation it goes on moving the policy where no advantage is left, by noise"
            " of weight mu; but at mu = 0.1 this is little beside the noise of whitened advantages, which every "
            "arm has."
        ),
        threshold=0.05,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor(
            "gradient norm of the positive-example loss over the surrogate's, mean of runs with the loss", 0.02
        ),
        equivalence=True,
        gate=Gate(
            "entropy after saturation with the loss at mu = 10 minus that without the loss",
            "the question's own cells, 2 epochs",
            0.05,
        ),
        definition=(
            "theta = E[H(on, t_on + u) - H(off, t_off + u)], H = -sum_m p_m log p_m / log 2 over the two goals, "
            "p_m the exact share of goal m among right answers, mean over held-out problems; t the first time at "
            "which exact J = 0.95, linear between measurements, u = 25 RL steps of 2 epochs x 4 mini-batches. One"
            " difference per seed that gets there in both arms, of which there must be 80 %; Student's interval."
        ),
    ),
}
