"""Questions of limitation 6, interactions, as declared before the runs that answer them."""

from analysis.verdict.questions import Floor, Question

QUESTIONS: dict[str, Question] = {
    "h6a": Question(
        id="h6a",
        question="What is left of PPO's guarantee that an update improves the policy, once all seven components are on?",
        estimand=(
            "how much of what full VAPO's updates gain they lose again, if sampling noise is taken out: the sum of falls of J"
            " over the sum of rises, among updates that start from J between 0.2 and 0.5, 0.5 and 0.8, and 0.8 and 0.95; mean"
            " of the three bands. A fall counts by its size, so many tiny ones near convergence weigh little."
        ),
        unit="share of the gain",
        prediction=(
            "Positive, above 0.05. The bound that guarantees improvement exceeds 1 from 8 tokens on with clips of 0.2 and from"
            " 7 with clip-higher (R8), so nothing is guaranteed; lambda below 1, whitening's shift, the imitation loss and the"
            " clip leave a bias (R1, R7) that does not shrink with the batch. Against it: R7 has the imitation loss parallel to"
            " the gradient of J, and a bias costs J only where it outweighs that gradient. No theory gives the size."
        ),
        threshold=0.05,
        primary="walk",
        also=("exact", "tiny_lm"),
        floor=Floor("total variation between new and old policy, mean over tokens of an update", 0.001),
        definition=(
            "theta = (1/3) sum_b L_b / G_b. For band b, L_b is the sum of max(0, -dJ) and G_b the sum of max(0, dJ) over all"
            " runs' large updates whose starting J lies in b; dJ is the exact change of J over the training problems. A large"
            " update starts from the weights of the run, takes 32 times the responses of a step in equally many optimiser"
            " steps, and has Adam's mean gradient set to that of these responses. Regime: about 32 decisions, 128 responses a"
            " step, critic fitted to outcomes, 40 RL steps. Interval: jackknife over runs; where no update falls, exact"
            " binomial over updates, falls taken to be no larger than rises."
        ),
    ),
    "h6b": Question(
        id="h6b",
        question="Do value pretraining and the length-adaptive lambda need each other, or does one stand in for the other?",
        estimand=(
            "minus the interaction value_pretraining x length_adaptive_gae at the longest answers of the walk, about 128"
            " decisions: half of how much less value pretraining is worth with the length-adaptive lambda than with 0.95, on"
            " the area under the curve of exact J, the other five components on; mean over two noise levels and two critic"
            " starts. The same sign is asked on log-odds; where it differs nothing is decided."
        ),
        unit="AUC",
        prediction=(
            "Positive: one stands in for the other. At 128 decisions the adaptive lambda is about 0.98, a horizon two to three"
            " times that of 0.95, which takes weight off the critic (R1: bias in proportion to 1 - lambda); pretraining takes"
            " error off the same critic (R9). Each leaves the other less to do. The VAPO paper leans the other way: its seven"
            " losses add up to 2.24 times the whole gain, so its components need each other; and a critic too poor for any"
            " lambda below 1 would make the two complements. Not asked: decoupled_gae x length_adaptive_gae, which is nonzero"
            " by construction, since without decoupling the critic takes the policy's lambda."
        ),
        threshold=0.02,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor("mean distance of lambda_policy from the fixed lambda", 0.02),
        definition=(
            "theta = -(1/S) sum_i (1/4) sum_r [(AUC_11 - AUC_01) - (AUC_10 - AUC_00)] / 2 over seeds i and the four regimes r"
            " of that length; the first index says whether value_pretraining is on, the second length_adaptive_gae. Student's"
            " interval over seeds. delta as for the components themselves."
        ),
    ),
}
