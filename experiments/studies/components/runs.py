"""The component table: what each of the seven is worth to full VAPO on these tasks, beside the VAPO paper's Table 1.

These seven are no questions of the limitations paper: they get estimates, intervals and activities, and no verdict.

Cost, from runs measured on one core: quick half a core-hour, full 7.6 core-hours.
"""

from analysis.verdict.questions import Floor, Question
from experiments.specs.spec import RunSpec
from experiments.studies import core, real

QUESTIONS: dict[str, Question] = {
    "value_pretraining": Question(
        id="value_pretraining",
        question="What is value_pretraining worth to full VAPO?",
        estimand="area under the learning curve, full VAPO minus VAPO without value_pretraining; text: mean of two tasks",
        unit="AUC",
        prediction="Positive: the VAPO paper lost 49 of 60 points without it (Table 1, one run); no theory says how much.",
        threshold=0.02,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor("critic's mean squared error at the first step without it, less that with it, reward^2", 0.02),
    ),
    "decoupled_gae": Question(
        id="decoupled_gae",
        question="What is decoupled_gae worth to full VAPO?",
        estimand="area under the learning curve, full VAPO minus VAPO without decoupled_gae; text: mean of two tasks",
        unit="AUC",
        prediction="Positive: the VAPO paper lost 27 of 60 points without it (Table 1, one run); no theory says how much.",
        threshold=0.02,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor("mean distance between the lambdas of targets and advantages", 0.02),
    ),
    "length_adaptive_gae": Question(
        id="length_adaptive_gae",
        question="What is length_adaptive_gae worth to full VAPO?",
        estimand="area under the learning curve, full VAPO minus VAPO without length_adaptive_gae; text: mean of two tasks",
        unit="AUC",
        prediction="Positive: the VAPO paper lost 15 of 60 points without it (Table 1, one run); no theory says how much.",
        threshold=0.02,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor("mean distance of lambda_policy from the fixed lambda", 0.02),
    ),
    "token_level_loss": Question(
        id="token_level_loss",
        question="What is token_level_loss worth to full VAPO?",
        estimand="area under the learning curve, full VAPO minus VAPO without token_level_loss; text: mean of two tasks",
        unit="AUC",
        prediction="Positive: the VAPO paper lost 7 of 60 points without it (Table 1, one run); no theory says how much.",
        threshold=0.02,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor("coefficient of variation of response length", 0.3),
    ),
    "clip_higher": Question(
        id="clip_higher",
        question="What is clip_higher worth to full VAPO?",
        estimand="area under the learning curve, full VAPO minus VAPO without clip_higher; text: mean of two tasks",
        unit="AUC",
        prediction="Positive: the VAPO paper lost 14 of 60 points without it (Table 1, one run); no theory says how much.",
        threshold=0.02,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor("share of tokens between the symmetric and the wider bound", 0.001),
    ),
    "positive_lm_loss": Question(
        id="positive_lm_loss",
        question="What is positive_lm_loss worth to full VAPO?",
        estimand="area under the learning curve, full VAPO minus VAPO without positive_lm_loss; text: mean of two tasks",
        unit="AUC",
        prediction="Positive: the VAPO paper lost 6 of 60 points without it (Table 1, one run); no theory says how much.",
        threshold=0.02,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor("share of tokens that belong to correct answers", 0.05),
    ),
    "group_sampling": Question(
        id="group_sampling",
        question="What is group_sampling worth to full VAPO?",
        estimand="area under the learning curve, full VAPO minus VAPO without group_sampling; text: mean of two tasks",
        unit="AUC",
        prediction="Positive: the VAPO paper lost 5 of 60 points without it (Table 1, one run); no theory says how much.",
        threshold=0.02,
        primary="walk",
        also=("tiny_lm",),
        floor=Floor("distinct prompts in a step without it, less those with it", 8.0),
    ),
}


def specs(preset: str) -> tuple[RunSpec, ...]:
    """The core tables."""
    if preset == "real":
        return tuple(real.components())
    return (*core.walk(preset), *core.lm(preset))
