"""Questions of the component study, as declared before the runs that answer them."""

from analysis.verdict.questions import Floor, Question

QUESTIONS: dict[str, Question] = {
    "value_pretraining": Question(
        id="value_pretraining",
        question="How much does VAPO lose without value_pretraining: fitting the critic before RL starts?",
        estimand=(
            "area under the learning curve (AUC), full VAPO minus VAPO without value_pretraining, paired by seed; mean over"
            " all regimes of the declared grid. Walk: 3 lengths x 2 noise levels x 2 critic starts; text: 2 lengths."
        ),
        unit="AUC",
        prediction=(
            "Positive: in the VAPO paper accuracy fell by 49 points without it, of the 55 that VAPO gained over PPO (Table 1;"
            " the number of runs is not stated for the ablations, and some rows are peaks). No theory says how much."
        ),
        threshold=0.02,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor("critic's mean squared error at the first step without it, less that with it, reward^2", 0.02),
        definition=(
            "theta = (1/S) sum_i (1/R) sum_r (AUC_ir[full] - AUC_ir[without]), seeds i and regimes r. AUC is the mean over RL"
            " steps 0 to 30, by the trapezoid rule, of exact J on the held-out problems (walk) or of pass@1 (text). Without:"
            " the critic starts RL as it was initialised, without fitting it to returns of the frozen policy."
        ),
    ),
    "decoupled_gae": Question(
        id="decoupled_gae",
        question="How much does VAPO lose without decoupled_gae: value targets with a lambda of their own?",
        estimand=(
            "area under the learning curve (AUC), full VAPO minus VAPO without decoupled_gae, paired by seed; mean over"
            " all regimes of the declared grid. Walk: 3 lengths x 2 noise levels x 2 critic starts; text: 2 lengths."
        ),
        unit="AUC",
        prediction=(
            "Positive: in the VAPO paper accuracy fell by 27 points without it, of the 55 that VAPO gained over PPO (Table 1;"
            " the number of runs is not stated for the ablations, and some rows are peaks). No theory says how much."
        ),
        threshold=0.02,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor("mean distance between the lambdas of targets and advantages", 0.02),
        definition=(
            "theta = (1/S) sum_i (1/R) sum_r (AUC_ir[full] - AUC_ir[without]), seeds i and regimes r. AUC is the mean over RL"
            " steps 0 to 30, by the trapezoid rule, of exact J on the held-out problems (walk) or of pass@1 (text). Without:"
            " the critic's targets take the policy's lambda in place of lambda_critic = 1."
        ),
    ),
    "length_adaptive_gae": Question(
        id="length_adaptive_gae",
        question="How much does VAPO lose without length_adaptive_gae: a lambda that grows with the length of the answer?",
        estimand=(
            "area under the learning curve (AUC), full VAPO minus VAPO without length_adaptive_gae, paired by seed; mean over"
            " all regimes of the declared grid. Walk: 3 lengths x 2 noise levels x 2 critic starts; text: 2 lengths."
        ),
        unit="AUC",
        prediction=(
            "Positive: in the VAPO paper accuracy fell by 15 points without it, of the 55 that VAPO gained over PPO (Table 1;"
            " the number of runs is not stated for the ablations, and some rows are peaks). No theory says how much."
        ),
        threshold=0.02,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor("mean distance of lambda_policy from the fixed lambda", 0.02),
        definition=(
            "theta = (1/S) sum_i (1/R) sum_r (AUC_ir[full] - AUC_ir[without]), seeds i and regimes r. AUC is the mean over RL"
            " steps 0 to 30, by the trapezoid rule, of exact J on the held-out problems (walk) or of pass@1 (text). Without:"
            " lambda_policy is 0.95 for every answer in place of 1 - 1/(alpha l), alpha = 0.5."
        ),
    ),
    "token_level_loss": Question(
        id="token_level_loss",
        question="How much does VAPO lose without token_level_loss: weighing every token alike?",
        estimand=(
            "area under the learning curve (AUC), full VAPO minus VAPO without token_level_loss, paired by seed; mean over"
            " all regimes of the declared grid. Walk: 3 lengths x 2 noise levels x 2 critic starts; text: 2 lengths."
        ),
        unit="AUC",
        prediction=(
            "Positive: in the VAPO paper accuracy fell by 7 points without it, of the 55 that VAPO gained over PPO (Table 1;"
            " the number of runs is not stated for the ablations, and some rows are peaks). No theory says how much."
        ),
        threshold=0.02,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor("coefficient of variation of response length", 0.3),
        definition=(
            "theta = (1/S) sum_i (1/R) sum_r (AUC_ir[full] - AUC_ir[without]), seeds i and regimes r. AUC is the mean over RL"
            " steps 0 to 30, by the trapezoid rule, of exact J on the held-out problems (walk) or of pass@1 (text). Without:"
            " the policy loss is a mean over answers of their token means in place of a mean over all tokens."
        ),
    ),
    "clip_higher": Question(
        id="clip_higher",
        question="How much does VAPO lose without clip_higher: the wider upper clip?",
        estimand=(
            "area under the learning curve (AUC), full VAPO minus VAPO without clip_higher, paired by seed; mean over"
            " all regimes of the declared grid. Walk: 3 lengths x 2 noise levels x 2 critic starts; text: 2 lengths."
        ),
        unit="AUC",
        prediction=(
            "Positive: in the VAPO paper accuracy fell by 14 points without it, of the 55 that VAPO gained over PPO (Table 1;"
            " the number of runs is not stated for the ablations, and some rows are peaks). No theory says how much."
        ),
        threshold=0.02,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor("share of tokens between the symmetric and the wider bound", 0.001),
        definition=(
            "theta = (1/S) sum_i (1/R) sum_r (AUC_ir[full] - AUC_ir[without]), seeds i and regimes r. AUC is the mean over RL"
            " steps 0 to 30, by the trapezoid rule, of exact J on the held-out problems (walk) or of pass@1 (text). Without:"
            " the ratio is clipped to 0.8 .. 1.2 in place of 0.8 .. 1.28."
        ),
    ),
    "positive_lm_loss": Question(
        id="positive_lm_loss",
        question="How much does VAPO lose without positive_lm_loss: imitating correct answers?",
        estimand=(
            "area under the learning curve (AUC), full VAPO minus VAPO without positive_lm_loss, paired by seed; mean over"
            " all regimes of the declared grid. Walk: 3 lengths x 2 noise levels x 2 critic starts; text: 2 lengths."
        ),
        unit="AUC",
        prediction=(
            "Positive: in the VAPO paper accuracy fell by 6 points without it, of the 55 that VAPO gained over PPO (Table 1;"
            " the number of runs is not stated for the ablations, and some rows are peaks). No theory says how much."
        ),
        threshold=0.02,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor("share of tokens that belong to correct answers", 0.05),
        definition=(
            "theta = (1/S) sum_i (1/R) sum_r (AUC_ir[full] - AUC_ir[without]), seeds i and regimes r. AUC is the mean over RL"
            " steps 0 to 30, by the trapezoid rule, of exact J on the held-out problems (walk) or of pass@1 (text). Without:"
            " mu = 0 in place of 0.1."
        ),
    ),
    "group_sampling": Question(
        id="group_sampling",
        question="How much does VAPO lose without group_sampling: several answers to each prompt?",
        estimand=(
            "area under the learning curve (AUC), full VAPO minus VAPO without group_sampling, paired by seed; mean over"
            " all regimes of the declared grid. Walk: 3 lengths x 2 noise levels x 2 critic starts; text: 2 lengths."
        ),
        unit="AUC",
        prediction=(
            "Positive: in the VAPO paper accuracy fell by 5 points without it, of the 55 that VAPO gained over PPO (Table 1;"
            " the number of runs is not stated for the ablations, and some rows are peaks). No theory says how much."
        ),
        threshold=0.02,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor("distinct prompts in a step without it, less those with it", 8.0),
        definition=(
            "theta = (1/S) sum_i (1/R) sum_r (AUC_ir[full] - AUC_ir[without]), seeds i and regimes r. AUC is the mean over RL"
            " steps 0 to 30, by the trapezoid rule, of exact J on the held-out problems (walk) or of pass@1 (text). Without:"
            " each answer of a step has a prompt of its own, in place of eight answers to each; equally many answers."
        ),
    ),
}
