"""What the VAPO paper reports: Table 1 of arXiv:2504.05118v3, AIME 2024 avg@32 in points (0 to 100).

The model is Qwen2.5-32B; no row has an error bar. The number of runs is not stated for the ablations; full VAPO was repeated
three times; some rows are peaks ("a maximum of approximately 11", "maximum convergence to 46").
"""

SOURCE = (
    "VAPO, arXiv:2504.05118v3, Table 1: AIME 2024 avg@32 in points, Qwen2.5-32B; no error bars; the number of runs is not"
    " stated for the ablations, full VAPO was repeated three times, some rows are peaks"
)

LIMITATIONS = (
    "Shao et al. (2025), “Towards Analyzing and Understanding the Limitations of VAPO: A Theoretical Perspective”"
)
"""The paper whose section 3 asks the sixteen questions."""

TABLE_1: dict[str, float] = {
    "vapo": 60,
    "ppo": 5,
    "grpo": 47,  # the paper's row is called R1-Zero-32B (DeepSeek's run); its algorithm is GRPO
    "dapo": 50,
    "vapo without value_pretraining": 11,
    "vapo without decoupled_gae": 33,
    "vapo without length_adaptive_gae": 45,
    "vapo without token_level_loss": 53,
    "vapo without clip_higher": 46,
    "vapo without positive_lm_loss": 54,
    "vapo without group_sampling": 55,
}
"""Arm -> points."""


def points(arm: str) -> float:
    """The paper's score of an arm in points, nan if it reports none."""
    return TABLE_1.get(arm, float("nan"))


def difference(arm: str, reference: str = "vapo") -> float:
    """The paper's score of an arm minus the reference's, in points; nan if either is not reported."""
    return points(arm) - points(reference)
