"""Toggles, settings and the named recipes as data: frozen, without torch; unknown keys are refused."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from vapo_core import bounds
from vapo_core.frozen import Frozen as Frozen


class Toggles(Frozen):
    """Which of the seven components are on: the coordinate of one run in the 2^7 design."""

    value_pretraining: bool = True
    decoupled_gae: bool = True
    length_adaptive_gae: bool = True
    token_level_loss: bool = True
    clip_higher: bool = True
    positive_lm_loss: bool = True
    group_sampling: bool = True


COMPONENTS: tuple[str, ...] = tuple(Toggles.model_fields)


TRUNCATIONS = frozenset({"top_p", "top_k", "min_p", "repetition_penalty"})
"""Sampling options that would truncate or change the policy's distribution; none is supported."""


def no_truncation(name: str) -> str:
    """The error message for a setting that would truncate the sampling distribution."""
    return (
        f"{name}: not supported: answers are sampled from the policy's full distribution, or ratios and advantages would"
        " belong to a policy other than the one trained; allowed: temperature"
    )


class Settings(Frozen):
    """Hyperparameters of a recipe; defaults follow the VAPO paper where it states them (arXiv:2504.05118, section 5.1)."""

    # what is sampled
    responses_per_step: int = Field(
        8192, ge=1, le=bounds.RESPONSES, description="B, responses per RL step, the same in every arm"
    )
    group_size: int = Field(
        16, ge=1, le=bounds.RESPONSES, description="G, answers per prompt when group_sampling is on"
    )
    pool_size: int = Field(
        8192, ge=1, le=bounds.RESPONSES, description="training problems in the finite pool that prompts are drawn from"
    )
    temperature: float = Field(1.0, gt=0, description="softmax temperature, for sampling and for the trained policy")
    generation_rounds: int = Field(4, ge=1, le=1000, description="maximum sampling rounds while groups are discarded")
    reward_low: float = Field(0.0, description="reward of a wrong answer (VC-PPO used -1)")
    reward_high: float = Field(1.0, description="reward of a right answer")
    overlong_share: float = Field(0.2, gt=0, le=1, description="final share of the length limit that dapo penalises")
    difficulty_bands: int = Field(4, ge=1, le=1000, description="bands of group_sampling variant by_difficulty")

    # credit
    warmup_steps: int = Field(50, ge=0, le=bounds.WARMUP, description="value-pretraining steps before RL")
    alpha: float = Field(0.05, gt=0, description="lambda_policy = 1 - 1 / (alpha l), l the response length in tokens")
    fixed_lambda: float = Field(0.95, ge=0, le=1, description="lambda_policy when length_adaptive_gae is off")
    lambda_critic: float = Field(1.0, ge=0, le=1, description="lambda of value targets when decoupled_gae is on")
    whitening: bool = Field(True, description="normalise advantages over the batch (all arms with a critic)")

    value_error_sd: float = Field(
        0.0,
        ge=0,
        description="standard deviation, in reward units, of the error that variants *_error add",
    )
    continuations: int = Field(9, ge=1, le=1000, description="K, continuations per step boundary (vineppo)")

    segment_steps: int = Field(
        4,
        ge=1,
        le=bounds.TOKENS,
        description="steps of reasoning that credit variant segment_level takes as one action",
    )

    # losses
    clip_low: float = Field(0.2, ge=0, lt=1, description="lower clip bound is 1 - clip_low")
    clip_high: float = Field(0.28, ge=0, description="upper clip bound is 1 + clip_high when clip_higher is on")
    clip_threshold: float = Field(0.5, description="advantage above which variant above_threshold widens the clip")
    mu: float = Field(0.1, ge=0, description="weight of the positive-example loss")
    entropy_coef: float = Field(0.0, ge=0, description="weight of the entropy bonus, per token")
    kl_coef: float = Field(0.0, ge=0, description="weight of KL(policy || reference), per token")
    importance_weighting: bool = Field(
        False,
        description="weight the policy loss per token by policy/engine probability (vLLM)",
    )
    importance_cap: float = Field(2.0, gt=0, description="upper bound on the importance weight (truncation)")
    value_clip: float = Field(
        float("inf"),
        gt=0,
        allow_inf_nan=True,
        description="maximum change of a value; inf = unclipped",
    )
    normaliser_tokens: int = Field(
        1024, ge=1, le=10_000_000, description="tokens per response in reduction constant_mean"
    )

    # critic start
    critic_start: Literal["backbone", "outcome"] = Field(
        "backbone",
        description="backbone: a new head on the policy's backbone; outcome: then fitted to outcomes of complete answers",
    )
    critic_bias: float = Field(0.0, description="initial bias of the critic's value head")
    outcome_steps: int = Field(10, ge=1, le=bounds.WARMUP, description="steps of that fit when critic_start is outcome")

    # the update
    mini_batches: int = Field(16, ge=1, le=bounds.RESPONSES, description="optimiser steps per pass over the batch")
    epochs: int = Field(1, ge=1, le=10_000, description="passes over the batch")
    micro_batches: int = Field(1, ge=1, le=bounds.RESPONSES, description="gradient accumulation steps; same results")
    tokens_per_micro_batch: float = Field(
        float("inf"),
        gt=0,
        allow_inf_nan=True,
        description="maximum tokens per forward pass, prompt and padding included; results do not change; inf = no limit",
    )
    tokens_per_generation_batch: float = Field(
        float("inf"),
        gt=0,
        allow_inf_nan=True,
        description="maximum tokens in the key-value cache of engine transformers; inf = generate all answers at once",
    )
    max_grad_norm: float = Field(1.0, gt=0, allow_inf_nan=True, description="maximum gradient norm, per network")
    policy_lr: float = Field(1e-6, ge=0, description="AdamW learning rate of the policy")
    critic_lr: float = Field(2e-6, ge=0, description="AdamW learning rate of the critic, also in value pretraining")
    adam_beta1: float = Field(0.9, ge=0, lt=1, description="AdamW beta1, decay of the first moment")
    adam_beta2: float = Field(0.999, ge=0, lt=1, description="AdamW beta2, decay of the second moment")
    weight_decay: float = Field(0.0, ge=0, description="AdamW weight decay")
    lr_schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant", description="learning-rate schedule after its warm-up"
    )
    lr_warmup_steps: int = Field(
        0,
        ge=0,
        le=bounds.STEPS,
        description="RL steps of the policy's rate warm-up; the paper warms up, then holds; 0 for runs of tens of steps",
    )

    @model_validator(mode="before")
    @classmethod
    def _whole_distribution(cls, data: Any) -> Any:
        cut = TRUNCATIONS & set(data) if isinstance(data, Mapping) else set()
        if cut:
            raise ValueError(no_truncation(min(cut)))
        return data

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.responses_per_step % self.group_size:
            raise ValueError(
                f"responses_per_step {self.responses_per_step} must be a multiple of group_size {self.group_size}"
            )
        if self.mini_batches * self.micro_batches > self.responses_per_step:
            raise ValueError(
                f"mini_batches {self.mini_batches} x micro_batches {self.micro_batches} must not exceed"
                f" responses_per_step {self.responses_per_step}"
            )
        if self.reward_high <= self.reward_low:
            raise ValueError(f"reward_high {self.reward_high} must be above reward_low {self.reward_low}")
        return self


class Evaluation(Frozen):
    """When and how a run is evaluated."""

    every: int = Field(
        5, ge=1, le=bounds.STEPS, description="RL steps between evaluations; the last step is always evaluated"
    )
    problems: int = Field(1024, ge=1, le=bounds.RESPONSES, description="held-out problems, one answer each, for pass@1")
    k: int = Field(8, ge=1, le=bounds.K, description="k of pass@k, estimated from 2k answers")
    k_problems: int = Field(64, ge=1, le=bounds.RESPONSES, description="held-out problems with 2k answers each")

    @model_validator(mode="after")
    def _countable(self) -> Self:
        bounds.check_product("k and k_problems", {"k_problems": self.k_problems, "answers": 2 * self.k}, bounds.SAMPLES)
        return self


class Lora(Frozen):
    """LoRA (arXiv:2106.09685) instead of full fine-tuning; policy and critic have separate adapters."""

    on: bool = Field(False, description="train adapters only (needs the extra `real`)")
    rank: int = Field(16, ge=1, le=4096, description="r, rank of the adapters")
    alpha: float = Field(32.0, gt=0, description="LoRA scaling: the adapter's output is multiplied by alpha / rank")
    targets: tuple[str, ...] = Field(
        ("all-linear",),
        min_length=1,
        description="names of the layers to adapt; all-linear: every linear layer except the output head",
    )


BASE_SIZES: tuple[str, ...] = ("tiny", "tiny32", "small", "medium")
"""Base models pretrained here; any other name is read as a checkpoint."""


class Base(Frozen):
    """The base model a run starts from, its critic's backbone, and how both are loaded."""

    model: str = Field(
        "tiny",
        description="a size pretrained here, or any checkpoint `from_pretrained` accepts",
    )
    architecture: Literal["llama", "qwen3"] = Field("llama", description="architecture of a model pretrained here")
    init: int = Field(0, ge=0, le=2 * bounds.SEED, description="seed of that model's initialisation")
    revision: str = Field("main", description="branch, tag or commit of a checkpoint on the Hugging Face Hub")
    critic: str = Field(
        "policy",
        description="the critic's backbone: policy, a causal, reward or value checkpoint, or the hash of an earlier run",
    )
    chat: Literal["auto", "on", "off"] = Field(
        "auto", description="wrap the prompt as a user message in the chat template; auto: if the tokenizer has one"
    )
    dtype: Literal["float32", "bfloat16"] = Field(
        "float32", description="compute dtype; weights and optimiser state stay float32"
    )
    gradient_checkpointing: bool = Field(False, description="recompute activations in the backward pass to save memory")
    lora: Lora = Lora()


PROBES: list[str] = [
    "value_error", "value_transfer", "baseline_error", "approximation_floor", "ranking", "forgetting",
    "gradient_variance", "exploration", "generalization", "policy_shift", "lambda_profile", "credit",
    "curvature", "improvement", "gradient_quality", "kl_per_gain", "large_update",
]  # fmt: skip
"""Probes by name; the files are in `vapo_core/probes/`. A plugin may add its own."""


class RecipeSpec(NamedTuple):
    """A named recipe: which components are on, and which named variants fill other slots."""

    toggles: Toggles
    variants: Mapping[str, str]


def only(*names: str) -> Toggles:
    """Toggles with only these components on."""
    return Toggles(**{name: name in names for name in COMPONENTS})


DEFAULT_SETTINGS: dict[str, Settings] = {
    "walk": Settings(
        responses_per_step=256, group_size=16, pool_size=64, warmup_steps=12, alpha=0.5, mini_batches=4, epochs=2,
        policy_lr=2e-3, critic_lr=2e-3,
    ),
    "lm": Settings(
        responses_per_step=256, group_size=16, pool_size=128, warmup_steps=10, alpha=0.5, mini_batches=4,
        policy_lr=4e-4, critic_lr=2e-3,
    ),
}  # fmt: skip
"""Default settings by world, sized for a laptop. Answers have tens of tokens, so alpha is ten times the paper's."""

DEFAULT_EVALUATION: dict[str, Evaluation] = {
    "walk": Evaluation(every=3, problems=64, k_problems=8),
    "lm": Evaluation(every=5, k_problems=32),
}
"""Default evaluation by world. The walk is scored by its exact J, so it needs fewer sampled answers."""

CHECKPOINT = Settings(
    responses_per_step=512, group_size=16, pool_size=7168, warmup_steps=20, alpha=0.05, mini_batches=4,
    policy_lr=1e-6, critic_lr=2e-6, tokens_per_micro_batch=16_384, tokens_per_generation_batch=131_072,
)  # fmt: skip
"""Default settings for a pretrained checkpoint of about 0.5B parameters on one GPU. Answers have hundreds of tokens, so alpha
and learning rates are the paper's."""

CHECKPOINT_EVALUATION = Evaluation(every=10, problems=512, k_problems=64)
"""Default evaluation for such a checkpoint."""


def settings_of(world: str, model: str) -> Settings:
    """Default settings for a world and base model."""
    return DEFAULT_SETTINGS[world] if world != "lm" or model in BASE_SIZES else CHECKPOINT


def evaluation_of(world: str, model: str) -> Evaluation:
    """Default evaluation for a world and base model."""
    return DEFAULT_EVALUATION[world] if world != "lm" or model in BASE_SIZES else CHECKPOINT_EVALUATION


_CRITIC_FREE = {"credit": "group_relative", "whiten": "none"}

RECIPES: dict[str, RecipeSpec] = {
    "vapo": RecipeSpec(Toggles(), {}),
    "ppo": RecipeSpec(only(), {}),
    "grpo": RecipeSpec(only("group_sampling"), _CRITIC_FREE),
    "dapo": RecipeSpec(
        only("group_sampling", "clip_higher", "token_level_loss"),
        {**_CRITIC_FREE, "select_groups": "dynamic_sampling", "shape_reward": "soft_overlong"},
    ),
    "vineppo": RecipeSpec(only("group_sampling"), {"credit": "vine", "values": "monte_carlo"}),
}
