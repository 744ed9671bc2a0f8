"""Questions of limitation 5, generalisation, as declared before the runs that answer them."""

from analysis.verdict.questions import Floor, Question

QUESTIONS: dict[str, Question] = {
    "h5a": Question(
        id="h5a",
        question="Does the critic generalise to out-of-distribution problems?",
        estimand=(
            "FVU of full VAPO's critic out of distribution minus its FVU on held-out problems in distribution, places"
            " weighted so that response length and true V are distributed alike in both (V for the weights from an"
            " independent half of the continuations) and both errors over one Var(V), that of the matched places; mean of"
            " splits ood_operator and ood_composition of chain, and of the measurements before the first and after the last"
            " RL step. Walk: split ood_hazard."
        ),
        unit="share of Var(V)",
        prediction=(
            "Positive: what the critic learned of one operator or order of operators says nothing certain about another."
            " The gap captured on alternative next steps should fall by less than FVU rises, since a shift of level keeps"
            " their order. Theory gives no magnitude."
        ),
        threshold=0.10,
        primary="tiny_lm",
        also=("walk",),
        floor=Floor(
            "effective share of places that matching leaves, (sum w)^2 / (n sum w^2), the smaller of two splits", 0.2
        ),
    ),
    "h5b": Question(
        id="h5b",
        question="Does VAPO overfit more than critic-free methods?",
        estimand=(
            "accuracy on problems out of distribution (mean of ood_operator and ood_composition of chain) where held-out"
            " accuracy in distribution first reaches 0.50, linear between measurements, vapo minus grpo, paired by seed."
            " Walk: accuracy on ood_hazard where the held-out one first reaches 0.80."
        ),
        unit="accuracy",
        prediction=(
            "No difference: near lambda = 1 both follow the same expected direction up to weights 1 / sqrt(p (1 - p)) of"
            " prompts (R13), so at equal skill in distribution equal skill beyond it; a difference would have to come from"
            " lambda < 1, those weights, or noise."
        ),
        threshold=0.03,
        primary="tiny_lm",
        also=("walk",),
        floor=Floor("share of seeds in which both runs reach that held-out accuracy", 0.8),
        equivalence=True,
    ),
}
