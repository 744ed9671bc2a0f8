"""Toggles, Settings and the named recipes as data: frozen, torch-free, unknown keys refused."""

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
"""Settings of engines that sample from another distribution than the policy's."""


def no_truncation(name: str) -> str:
    """Why there is no such setting."""
    return (
        f"{name}: not offered, for answers are sampled from the policy's whole distribution: from any other, ratios and"
        " advantages would be of another policy than the one trained; allowed: temperature"
    )


class Settings(Frozen):
    """Every number of a recipe; defaults are the VAPO paper's where it states one (arXiv:2504.05118, section 5.1)."""

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
    temperature: float = Field(1.0, gt=0, description="softmax temperature of sampling and of the trained policy alike")
    generation_rounds: int = Field(
        4, ge=1, le=1000, description="most rounds of sampling while a recipe discards groups (dapo)"
    )
    reward_low: float = Field(0.0, description="reward of a wrong answer (VC-PPO used -1)")
    reward_high: float = Field(1.0, description="reward of a right answer")
    overlong_share: float = Field(0.2, gt=0, le=1, description="last share of the length limit that dapo penalises")
    difficulty_bands: int = Field(4, ge=1, le=1000, description="bands of the group_sampling variant by_difficulty")

    # credit
    warmup_steps: int = Field(50, ge=0, le=bounds.WARMUP, description="steps of value pretraining before RL")
    alpha: float = Field(0.05, gt=0, description="lambda_policy = 1 - 1 / (alpha l), l the response length in tokens")
    fixed_lambda: float = Field(0.95, ge=0, le=1, description="lambda_policy when length_adaptive_gae is off")
    lambda_critic: float = Field(1.0, ge=0, le=1, description="lambda of value targets when decoupled_gae is on")
    whitening: bool = Field(
        True, description="normalise advantages over the batch, the same in every arm with a critic"
    )

    value_error_sd: float = Field(
        0.0, ge=0, description="standard deviation, reward, of the error that variants *_error of slot values add"
    )
    continuations: int = Field(
        9, ge=1, le=1000, description="K, fresh continuations per step boundary of recipe vineppo"
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
        description="weigh each token's policy loss by policy over engine probability, where the engine is not exact",
    )
    importance_cap: float = Field(
        2.0, gt=0, description="most that such a weight may be (truncated importance sampling)"
    )
    value_clip: float = Field(
        float("inf"), gt=0, allow_inf_nan=True, description="most a value may move from its old one; inf = unclipped"
    )
    normaliser_tokens: int = Field(
        1024, ge=1, le=10_000_000, description="tokens per response in the constant_mean reduction"
    )

    # critic start
    critic_start: Literal["backbone", "outcome"] = Field(
        "backbone", description="fresh head on the policy's backbone, or also fitted to results of complete answers"
    )
    critic_bias: float = Field(0.0, description="constant added to the critic's output head before anything is fitted")
    outcome_steps: int = Field(
        10, ge=1, le=bounds.WARMUP, description="steps of fitting complete answers when critic_start is outcome"
    )

    # the update
    mini_batches: int = Field(16, ge=1, le=bounds.RESPONSES, description="optimiser steps per pass over the batch")
    epochs: int = Field(1, ge=1, le=10_000, description="passes over the batch")
    micro_batches: int = Field(
        1, ge=1, le=bounds.RESPONSES, description="gradient accumulation: slices per mini-batch, equal results"
    )
    tokens_per_micro_batch: float = Field(
        float("inf"),
        gt=0,
        allow_inf_nan=True,
        description="most tokens, prompt and padding included, that a pass reads at once; equal results; inf = all",
    )
    tokens_per_generation_batch: float = Field(
        float("inf"),
        gt=0,
        allow_inf_nan=True,
        description="most tokens that engine transformers may come to hold in its key-value cache; inf = all answers at once",
    )
    max_grad_norm: float = Field(
        1.0, gt=0, allow_inf_nan=True, description="global gradient norm clip, policy and critic each"
    )
    policy_lr: float = Field(1e-6, ge=0, description="AdamW rate of the policy")
    critic_lr: float = Field(2e-6, ge=0, description="AdamW rate of the critic, pretraining included")
    adam_beta1: float = Field(0.9, ge=0, lt=1, description="AdamW decay of the mean gradient")
    adam_beta2: float = Field(0.999, ge=0, lt=1, description="AdamW decay of the mean squared gradient")
    weight_decay: float = Field(0.0, ge=0, description="AdamW weight decay")
    lr_schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant", description="after the warm-up of the rate"
    )
    lr_warmup_steps: int = Field(
        0, ge=0, le=bounds.STEPS, description="RL steps over which the policy's rate rises from 0"
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
    """Low-rank adapters (arXiv:2106.09685) in place of training every weight; policy and critic have one each."""

    on: bool = Field(False, description="train adapters only (needs the extra `real`)")
    rank: int = Field(16, ge=1, le=4096, description="r, the rank of every adapter")
    alpha: float = Field(32.0, gt=0, description="an adapter's product counts alpha / rank times")
    targets: tuple[str, ...] = Field(
        ("all-linear",),
        min_length=1,
        description="names of layers that get one; all-linear: every linear layer but the last",
    )


BASE_SIZES: tuple[str, ...] = ("tiny", "tiny32", "small", "medium")
"""Base models pretrained here; any other name is a checkpoint's."""


class Base(Frozen):
    """The policy a run starts from, and how it and its critic are read."""

    model: str = Field("tiny", description="a size pretrained here, or any checkpoint `from_pretrained` takes")
    architecture: Literal["llama", "qwen3"] = Field("llama", description="of a model pretrained here")
    init: int = Field(0, ge=0, le=2 * bounds.SEED, description="which initialisation of that size")
    revision: str = Field("main", description="branch, tag or commit of a checkpoint on the hub")
    critic: str = Field(
        "policy",
        description="the critic's backbone: policy, a causal, reward or value checkpoint, or an earlier run's hash",
    )
    chat: Literal["auto", "on", "off"] = Field(
        "auto", description="prompt as a user's message in the chat template; auto: where the tokenizer has one"
    )
    dtype: Literal["float32", "bfloat16"] = Field(
        "float32", description="numbers that passes compute in; weights and optimiser are float32 either way"
    )
    gradient_checkpointing: bool = Field(False, description="compute activations again on the way back: less memory")
    lora: Lora = Lora()


PROBES: tuple[str, ...] = (
    "value_error", "value_transfer", "approximation_floor", "ranking", "forgetting",
    "gradient_variance", "exploration", "generalization", "policy_shift", "lambda_profile", "credit",
    "curvature", "improvement", "gradient_quality", "kl_per_gain", "large_update",
)  # fmt: skip
"""Probes by name; the files are in `vapo_core/probes/`."""


class RecipeSpec(NamedTuple):
    """A named recipe: which components are on, and which named variants fill other slots."""

    toggles: Toggles
    variants: Mapping[str, str]


def only(*names: str) -> Toggles:
    """Toggles with just these components on."""
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
"""Settings that fit a laptop, by world. Answers here have tens of tokens, so alpha is ten times the paper's."""

DEFAULT_EVALUATION: dict[str, Evaluation] = {
    "walk": Evaluation(every=3, problems=64, k_problems=8),
    "lm": Evaluation(every=5, k_problems=32),
}
"""Evaluations by world. The walk is scored by its exact J, so it needs fewer sampled answers."""

CHECKPOINT = Settings(
    responses_per_step=512, group_size=16, pool_size=7168, warmup_steps=20, alpha=0.05, mini_batches=4,
    policy_lr=1e-6, critic_lr=2e-6, tokens_per_micro_batch=16_384, tokens_per_generation_batch=131_072,
)  # fmt: skip
"""Settings for a pretrained checkpoint of some 0.5B parameters on one GPU: the paper's alpha and rates, since answers have
hundreds of tokens."""

CHECKPOINT_EVALUATION = Evaluation(every=10, problems=512, k_problems=64)
"""Its evaluation."""


def settings_of(world: str, model: str) -> Settings:
    """The settings that a world and a base model start from."""
    return DEFAULT_SETTINGS[world] if world != "lm" or model in BASE_SIZES else CHECKPOINT


def evaluation_of(world: str, model: str) -> Evaluation:
    """The evaluation that goes with them."""
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


def check_combination(toggles: Toggles, settings: Settings, variants: Mapping[str, str]) -> None:
    """Refuse combinations that mean nothing.

    Raises:
        ValueError: a variant of a component that is off, rehearsal without a critic, an error put into values that would
            reach the critic, or group-relative credit with a single answer per prompt.
    """
    for slot in variants:
        if slot in COMPONENTS and not getattr(toggles, slot):
            raise ValueError(f"variants.{slot}: {variants[slot]!r} is a way of having {slot} on, but its toggle is off")
    if "rehearsal" in variants and variants.get("credit") in ("group_relative", "vine"):
        raise ValueError(f"variants.rehearsal: credit {variants['credit']} has no critic that could rehearse")
    apart = toggles.decoupled_gae and settings.lambda_critic == 1.0 and settings.value_clip == float("inf")
    if variants.get("values", "").endswith("_error") and not apart:
        raise ValueError(
            f"variants.values: {variants['values']} is meant for advantages alone, so it needs decoupled_gae on with"
            " lambda_critic 1 and no value_clip: otherwise the critic would learn the error"
        )
    if "horizon" in variants and not toggles.length_adaptive_gae:
        raise ValueError(f"variants.horizon: {variants['horizon']} adapts lambda, so it needs length_adaptive_gae on")
    answers = settings.group_size if toggles.group_sampling else 1
    if variants.get("credit") == "group_relative" and answers < 2:
        raise ValueError(
            "credit group_relative compares answers to one prompt, so it needs group_sampling on"
            f" and group_size of at least 2, got {answers} answer per prompt"
        )
