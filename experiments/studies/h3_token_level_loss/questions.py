"""Questions of limitation 3, the token-level loss, as declared before the runs that answer them."""

from analysis.verdict.questions import Floor, Question

QUESTIONS: dict[str, Question] = {
    "h3a": Question(
        id="h3a",
        question="How does averaging gradients at the token level, rather than the sequence level, alter the landscape?",
        estimand=(
            "How much the sharpness of the policy loss under token mean, compared with sequence mean, follows the tie between"
            " length and curvature. Sharpness is the largest curvature over the slope, both reductions at the same weights and"
            " on the same responses. Half of: the log ratio of sharpness where longer responses are the more curved ones,"
            " minus the log ratio where shorter ones are. Supported only if the ratio is beyond the threshold in both cases,"
            " above 0 in the first and below 0 in the second. Full VAPO on the walk, before training and after 5 and 10 steps,"
            " in two settings: the walk as it is, where wrong answers are short, and one where wrong answers are long."
        ),
        unit="nats",
        prediction=(
            "Positive. The curvature under token mean is that under sequence mean plus the covariance of length and a"
            " response's own curvature, over the mean length (R5, exact), so at an equal slope token mean is the sharper one"
            " where that covariance is above 0 and the flatter one where it is below. The slope has a covariance with length"
            " of its own, of which theory says nothing; if it moves as the curvature does, the ratio stays near 0. It did so"
            " where the covariance is below 0 on development seeds, which speak against the prediction."
        ),
        threshold=0.22,  # 25 %: a step size that is safe for one reduction is off by that margin for the other
        primary="walk",
        also=(),
        floor=Floor("coefficient of variation of response length", 0.3),
        definition=(
            "theta = (E[r | c > 0] - E[r | c < 0]) / 2 with r = log(kappa_token / kappa_sequence) and kappa = lambda_max(H) /"
            " |g|; g and H are gradient and Hessian of the surrogate -sum_t w_t A_t pi / pi_old at ratio 1, w_t the"
            " reduction's weights. Directions come from one half of 16,384 fresh responses, curvatures from the other, both"
            " ways; |g|^2 is a product over disjoint responses; constants of whitening are another batch's. c = v'(H_token -"
            " H_sequence)v = Cov_i(l_i, v'H_i v) / mean l, H_i the Hessian of response i's token mean, along the top"
            " directions v of both reductions on 8,192 further responses, each as a share of the reduction's own curvature"
            " there. A seed's measurements in a stratum are averaged; strata have Student intervals over seeds at 1 -"
            " 0.05/16, theta leaves out a seed at a time. A stratum that fewer than half of the seeds reach decides nothing."
            " Doubling the responses moved r by less than 0.02 on a development seed."
        ),
    ),
    "h3b": Question(
        id="h3b",
        question="Does token-level averaging raise the variance of the gradient per update?",
        estimand=(
            "The noise of the gradient beside its signal: variance per response over the squared length of the expected"
            " gradient, each reduction with its own, at the same weights and on the same responses. Log of that under sequence"
            " mean over that under token mean. Above 0 token mean is the less noisy one; below 0 it raises the variance, as"
            " the paper worries. Full VAPO on both text tasks, before training and after 5 and 10 steps."
        ),
        unit="nats",
        prediction=(
            "Positive, against the paper's worry. If gradients of a response's tokens have one variance and correlation rho,"
            " Var_token / Var_sequence = [(1 - rho) / E l + rho (1 + CV^2)] / [(1 - rho) E(1/l) + rho] (R6). Scores are"
            " martingale differences, so with |A| nearly constant rho is near 0, where log-normal lengths give 1 / (1 + CV^2):"
            " 0.18 nats less at a coefficient of variation of 0.44, 0.31 at 0.6. R6 holds the signals to be alike, and squared"
            " gradients of responses to grow as their length; neither is derived. The paper worries about the opposite, and"
            " development seeds side with it: about -0.8, since sequence mean has the larger expected gradient, too."
        ),
        threshold=0.18,  # a fifth of the responses
        primary="tiny_lm",
        also=("exact", "walk"),
        floor=Floor(
            "coefficient of variation of response length; at 0.44 and rho = 0 R6 gives just the threshold", 0.44
        ),
        definition=(
            "theta = mean over places of log[(tr S_sequence / |E g_sequence|^2) / (tr S_token / |E g_token|^2)]. A place is a"
            " task (text_walk, chain) and an RL step (0, 5, 10), fixed before the runs; none is left out. tr S is the trace of"
            " the covariance of a response's contribution to the batch gradient, by the delta method for token mean, at the"
            " recipe's answers per prompt, prompts as clusters; |E g|^2 is the mean product of gradients of disjoint"
            " responses. Both are unbiased, |E g|^2 may come out below 0, so each is averaged over seeds before it is divided,"
            " and the logarithm is taken last. Seeds that have every place; the interval leaves out a seed at a time. A place"
            " whose mean |E g|^2 is not above 0 leaves theta without an estimate: undecided, and the row says which."
        ),
    ),
    "h3c": Question(
        id="h3c",
        question="Does the token-level loss implicitly change PPO's constraint on the KL divergence?",
        estimand=(
            "What a gain of J costs in KL divergence from the old policy: KL per squared first-order gain along the expected"
            " gradient, both reductions at the same weights and on the same responses. Log of the price under sequence mean"
            " over that under token mean. Above 0 token mean pays less KL for the same gain. Full VAPO on the walk, before"
            " training and after 5 and 10 steps."
        ),
        unit="nats",
        prediction=(
            "Positive. At one step size KL goes with the squared length of the step, a matter of scale that Adam hides; the"
            " price is free of it. Near lambda = 1 token mean points along grad J, and sequence mean along grad E[R / l] plus"
            " a pressure on length from whitening's shift (R5): KL spent on length buys no reward. Expected, not derived: the"
            " price is least along the natural gradient F^-1 grad J, to which either may be nearer."
        ),
        threshold=0.18,  # 20 % of the KL
        primary="walk",
        also=("tiny_lm",),
        floor=Floor("coefficient of variation of response length", 0.3),
        definition=(
            "theta = E log[kappa(d_sequence) / kappa(d_token)], kappa(d) = d'Fd / (2 (grad J . d)^2), F the Fisher information"
            " of a whole response, grad J exact, d the expected gradient of the surrogate at ratio 1 under either reduction."
            " d'Fd and (grad J . d)^2 are products over disjoint responses, so noise of d is not counted. A seed's mean over"
            " RL steps 0, 5 and 10 where both directions surely ascend (two-sided 5 %); how many do not is said beside it."
            " Student's interval over seeds."
        ),
    ),
}
