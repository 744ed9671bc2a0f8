"""Questions of limitation 1, value fidelity, as declared before the runs that answer them."""

from analysis.verdict.questions import Floor, Question

QUESTIONS: dict[str, Question] = {
    "h1a": Question(
        id="h1a",
        question=(
            "How large is the critic's approximation error on long chains, and where: does it tell the value "
            "of an unfinished answer better than the mean reward of other answers to the same prompt?"
        ),
        estimand=(
            "How far the critic is behind the cheapest baseline without a critic, once the policy is trained. "
            "That baseline is the mean reward of the group's 15 other answers to the prompt, one number for "
            "every token of an answer; its sampling noise counts, since a learner subtracts that very number. "
            "Squared error of the critic to the true value minus that of the mean, as a share of the variance "
            "of true values, on the problems that are trained on, where a baseline is used; full VAPO, mean of"
            " text_walk and chain, after the last RL step."
        ),
        unit="share of Var(V)",
        prediction=(
            "Positive: the critic is behind. Fifteen answers tell the group mean how hard this very prompt is;"
            " the critic has to learn that from some thousands of noisy results to all prompts. Against it "
            "stands that the critic sees what has been decided within the answer, which the group mean cannot."
            " RL shifts the balance: a trained policy solves some prompts and fails others, so that less is "
            "decided within an answer. Before RL the critic may be ahead. Which weighs more is open in theory;"
            " reports from large models have a plain critic behind, and so had development runs of both tasks "
            "after RL, and one of two before it."
        ),
        threshold=0.20,  # at lambda = 1 a baseline's squared error adds to the variance: a fifth of what V takes away
        primary="tiny_lm",
        also=("walk",),
        floor=Floor(
            (
                "share of Var(V) that a copy of the critic explains when it is fitted to as many answers as still "
                "help, 1 - FVU of the floor: whether a value shows in the tokens at all"
            ),
            0.2,
        ),
        definition=(
            "theta = FVU(V_hat) - FVU(m), FVU(b) = E[(b - V(s))^2] / Var(V(s)) over places s, tokens of one "
            "answer each to training problems, under the policy after the last RL step. m = (1/(G - 1)) sum of"
            " the rewards of G - 1 = 15 further answers of the present policy to the prompt, independent of "
            "the answer that holds s; E[(m - V)^2 | s] = (V(s_0) - V(s))^2 + V(s_0) (1 - V(s_0)) / (G - 1) for"
            " rewards of 0 and 1. V(s) from K = 16 continuations, s^2/K taken off both squared errors and off "
            "Var(V); exact on the walk. Secondary: held-out problems, where FVU(V_hat) = floor + excess, the "
            "floor being the FVU of a copy of the network fitted to answers to other problems, doubled in "
            "number until that lowers it by less than 0.02; and the best value that knows the position alone, "
            "E Var(V | t) / Var(V), which nobody can use as it is."
        ),
    ),
    "h1b": Question(
        id="h1b",
        question="How does value error propagate into the update and the policy?",
        estimand=(
            "Relative bias of the policy gradient, |E g - grad J| / |grad J|, that a lasting error of the "
            "critic causes. The error differs from state to state, is frozen, has a standard deviation of 0.1,"
            " and is added to exact values; lambda = 0.95. Mean of a problem of 64 tokens and one of 64 on "
            "average; the replicates are sampled decision processes with errors of their own. Other lengths, "
            "lambda and errors are secondary."
        ),
        unit="relative bias at sigma = 0.1",
        prediction=(
            "Positive, for a reason that is arithmetic (R1): the bias is (1 - lambda) times the sum of the "
            "errors ahead, each weighted by lambda per token. So it is in proportion to the error's size, "
            "falls as lambda nears 1 and is 0 there. It is 0, too, for an error of position alone where all "
            "answers have one length, and for noise drawn afresh, which adds variance only."
        ),
        threshold=0.05,
        primary="exact",
        also=("walk", "tiny_lm"),
        floor=Floor(
            ("standard deviation of the added error over states at one position, reward (of position alone: inert)"),
            0.05,
        ),
        definition=(
            "As declared before the runs. S(0.95) x 0.1: relative bias of the expected policy gradient, |E g -"
            " grad J| / |grad J|, caused at lambda = 0.95 by a frozen state-dependent error of standard "
            "deviation 0.1 added to exact values; from the slope in that deviation, mean of a problem of 64 "
            "tokens and one of 64 on average, sampled decision processes and error draws being the replicates;"
            " other lengths, lambda and errors are secondary. Learned levels: fall of the area under the "
            "learning curve per 0.1 of it, over 0 to 0.2, lambda fixed at 0.95, the error added when "
            "advantages are computed and never to targets. Prediction: Positive (R1): bias of the gradient is "
            "(1 - lambda) sum_k lambda^k of the errors ahead, hence linear in sigma, smaller the nearer lambda"
            " is to 1 and 0 there; 0 for errors of position alone where all responses have one length, and for"
            " noise drawn afresh, which enters as variance, in sigma^2."
        ),
    ),
    "h1c": Question(
        id="h1c",
        question="Does the critic forget rare but critical sub-paths as the policy shifts?",
        estimand=(
            "Growth of the critic's squared error on rare places from before the first RL step to after the "
            "last: the run's own growth, or its growth beyond that of a twin run whose critic also replays "
            "rare states, whichever is smaller. An error that only falls more slowly than the twin's was never"
            " lost, and one that grows in both is no interference. Full VAPO on the walk; share of the "
            "variance of true values."
        ),
        unit="share of Var(V)",
        prediction=(
            "Positive and growing with the policy's shift: one network serves all states, so fitting the "
            "states that the policy now visits moves its values on those it left, while a table would keep "
            "them."
        ),
        threshold=0.10,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor(
            (
                "policy shift from t0 to t1, nats per response; besides, E_rare(t0) must lie below the position-"
                "only critic's, or nothing was there to forget"
            ),
            0.5,
        ),
        definition=(
            "theta = min(C, O). C = D - D_twin with D = [E_rare - E_frequent](t1) - [E_rare - E_frequent](t0),"
            " E = squared error to V under the present policy over Var(V) of all places at that time; the twin"
            " has rehearsal = rare. O = [e_rare(t1) - e_rare(t0)] / Var(V)(t0), e the plain run's squared "
            "error, in one unit, since Var(V) falls as problems are solved. Rare places of prompts that no "
            "twin rehearses; t0 = before the first RL step, t1 = after the last. The interval's bounds are the"
            " smaller of both parts' bounds, the upper ones at half the error (intersection-union)."
        ),
    ),
}
