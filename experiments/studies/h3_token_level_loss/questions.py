"""Questions of limitation 3, the token-level loss, as declared before the runs that answer them."""

from analysis.verdict.questions import Floor, Question

QUESTIONS: dict[str, Question] = {
    "h3a": Question(
        id="h3a",
        question="How does averaging gradients at the token level, rather than the sequence level, alter the landscape?",
        estimand=(
            "log of kappa under token mean over kappa under sequence mean, at the same weights and responses, along runs of"
            " full VAPO; kappa = top curvature of the policy surrogate at ratio 1 x length of the recipe's update / slope,"
            " direction from one half of the responses and curvature from the other. Above 0: sharper under token mean."
            " Two cells: the walk as it is, whose base policy stops early (wrong answers are short), and with trap_prior -2,"
            " where it wanders (wrong answers are long). Measurements in which both slopes are clear of 0; one mean per run"
            " and cell, cells alike. Strata: measurements in which the covariance of length and a response's curvature is"
            " above 0, and below 0; it is read on responses of their own, relative to the curvature, along both reductions'"
            " top directions, since along one alone it would favour that one."
        ),
        unit="nats",
        prediction=(
            "Conditional. H_token - H_sequence = Cov_i(l_i, H_i) / mean l exactly (R5), H_i the curvature of response i's"
            " token mean: 0 if all lengths agree, else of the sign of that covariance. At ratio 1 H_i is -A psi psi' - A grad"
            " psi, so a response that did worse than expected curves the loss upward: where wrong answers are the long ones"
            " the covariance is above 0 and token mean is sharper, where they are the short ones it is flatter. This takes the"
            " slopes to change less than the curvatures; they have a covariance with length of their own, shown beside it."
        ),
        threshold=0.22,  # 25 %: a step size that is safe for one reduction is off by that margin for the other
        primary="walk",
        also=("tiny_lm",),
        floor=Floor("coefficient of variation of response length", 0.3),
    ),
    "h3b": Question(
        id="h3b",
        question="Does token-level averaging raise the variance of the gradient per update?",
        estimand=(
            "log[Q_token / Q_sequence] of full VAPO at one optimiser step's number of responses (responses_per_step /"
            " mini_batches), both reductions on the same weights and responses; Q = (E g . grad J)^2 / (|grad J|^2 E|g|^2),"
            " the useful share of a gradient's power, E|g|^2 = |E g|^2 + tr S / B. grad J without bias from responses of"
            " their own (whole-response returns, leave-one-out baseline), prompts as clusters, whitening's constants from"
            " another batch. A single run's Q is noisy, so Q |grad J|^2 is averaged over seeds before the log, at every task"
            " and step, and the logs are averaged over tasks text_walk and chain and over steps (those at which both means are"
            " above 0); jackknife over seeds. Above 0: token mean is worth more responses."
        ),
        unit="nats",
        prediction=(
            "Positive, against the paper's worry. R6: Var_token / Var_sequence = [(1 - rho) / E l + rho (1 + CV^2)] /"
            " [(1 - rho) E(1/l) + rho]. Scores are martingale differences, so with |A| nearly constant rho is near 0, where"
            " log-normal lengths give 1 / (1 + CV^2): -0.18 nats at CV 0.44, -0.31 at 0.6. Sequence mean also points away"
            " from grad J (R5), which Q counts. The sign turns where rho exceeds 1 / (1 + E l), 0.07 at 14 tokens."
        ),
        threshold=0.18,  # a fifth of the responses
        primary="tiny_lm",
        also=("exact", "walk"),
        floor=Floor(
            "coefficient of variation of response length; at 0.44 and rho = 0 R6 gives just the threshold", 0.44
        ),
    ),
    "h3c": Question(
        id="h3c",
        question="Does the token-level loss implicitly change PPO's constraint on the KL divergence?",
        estimand=(
            "log of kappa(d_sequence) over kappa(d_token), kappa(d) = d'Fd / (2 (grad J . d)^2): KL(old || new) of whole"
            " responses per squared first-order gain of J, F the Fisher information of a response. d is full VAPO's expected"
            " gradient under either reduction at the same weights and responses; products from disjoint responses, so that"
            " noise of d is not counted. Mean over the measurements of a run in which both directions surely ascend."
            " Above 0: token mean pays less KL for the same gain."
        ),
        unit="nats",
        prediction=(
            "Positive. At one step size KL goes with |d|^2, a matter of scale that Adam hides; the ratio above is free of it."
            " Near lambda = 1 token mean points along grad J and sequence mean along grad E[R / l] plus a pressure on length"
            " that whitening's shift adds (R5): KL spent on length buys no reward. Expected, not derived: kappa is least"
            " along the natural gradient F^-1 grad J, to which either may be nearer."
        ),
        threshold=0.18,  # 20 % of the KL
        primary="walk",
        also=("tiny_lm",),
        floor=Floor("coefficient of variation of response length", 0.3),
    ),
}
