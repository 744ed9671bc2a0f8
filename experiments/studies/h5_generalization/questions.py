"""Questions of limitation 5, generalisation, as declared before the runs that answer them."""

from analysis.verdict.questions import Floor, Question

QUESTIONS: dict[str, Question] = {
    "h5a": Question(
        id="h5a",
        question="Does the critic generalise to out-of-distribution problems?",
        estimand=(
            "How much more of the variance of true values the critic leaves unexplained on a kind of problem "
            "that no training has shown, neither of the base model nor of the critic nor RL: chains in which "
            "an operator follows another that it never followed before. The two sets of places are weighted "
            "until answer length and true value are distributed alike, so that longer or harder problems alone"
            " make no difference. Full VAPO on chain with five operators, its critic pretrained for 30 steps "
            "over 1,024 problems, so that it knows something to carry over; mean of the measurements before "
            "the first and after the last RL step; on the walk, hazards at new places."
        ),
        unit="share of Var(V)",
        prediction=(
            "Positive: nothing in the loss asks values to hold beyond the training distribution. The ranking "
            "of next steps should suffer less than squared error, since a shift of level keeps their order. "
            "Theory gives no magnitude."
        ),
        threshold=0.10,
        primary="tiny_lm",
        also=("walk",),
        floor=Floor(
            (
                "effective share of places that matching leaves, (sum w)^2 / (n sum w^2), the smaller of both "
                "sets; besides, the critic's FVU on the matched places in distribution must lie below 1, or it has"
                " nothing to carry over"
            ),
            0.2,
        ),
        definition=(
            "theta = FVU_out - FVU_in, FVU = sum_i w_i [(V_hat_i - V_mc,i)^2 - s_i^2/K] / Var_w(V), both over "
            "one Var_w(V), that of the matched places of both splits. Weights w are overlap weights over cells"
            " of answer length and V, tilted until mean and mean square of V agree; V for the weights is from "
            "an independent half of the continuations. In: held-out problems of the training kind. Out: split "
            "ood_composition of chain with operators > < ~ + -, whose pairs <~ and ~> occur in no training "
            "problem and, glimpse being 0, in none of the base model's demonstrations. Walk: split ood_hazard."
        ),
    ),
    "h5b": Question(
        id="h5b",
        question="Does VAPO overfit more than critic-free methods?",
        estimand=(
            "Accuracy on problems out of distribution, VAPO minus GRPO from the same base model, where both "
            "have the same accuracy on held-out problems in distribution: the highest of 0.60, 0.65, 0.70, "
            "0.75 and 0.80 that both runs of four in five seeds reach, with accuracies measured after every RL"
            " step. Mean of new operators and new orders of operators, on chain. Walk: hazards at new places, "
            "at 0.80 or more."
        ),
        unit="accuracy",
        prediction=(
            "No difference: near lambda = 1 both follow the same expected direction up to weights of prompts, "
            "1 / sqrt(p (1 - p)) (R13), so at equal skill in distribution equal skill beyond it. A difference "
            "would have to come from lambda < 1, those weights, or noise."
        ),
        threshold=0.03,
        primary="tiny_lm",
        also=("walk",),
        floor=Floor(
            (
                "training minus held-out accuracy where the arms are compared, mean of both: where nobody overfits"
                " there is nothing to compare; besides, four in five seeds must reach 0.60 with both runs"
            ),
            0.05,
        ),
        equivalence=True,
        definition=(
            "theta = mean over seeds of a_out(VAPO) - a_out(GRPO), each read where the run's held-out accuracy"
            " first reaches h from below, linear between measurements one RL step apart. h is the highest of "
            "the listed accuracies that both runs of at least 80 % of the seeds reach; it is chosen by held-"
            "out accuracy alone, which a_out does not enter, and is one number for all seeds, so that no run "
            "is read at its luckiest measurement. a_out = mean accuracy on ood_operator and ood_composition, "
            "1,024 problems each, the same problems and random numbers at every step."
        ),
    ),
}
