"""Base models of every size and architecture: built, sampled, valued, saved and loaded alike."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from vapo_core import FunctionTask
from vapo_core.models.base_model import SIZES, base_identity, build_model, character_tokenizer, content_key
from vapo_core.models.critic import LanguageCritic
from vapo_core.models.policy import LanguagePolicy
from vapo_core.models.value_models import on_backbone
from vapo_core.rollout.transformers import TransformersEngine
from vapo_core.settings import Base
from vapo_core.tasks import make_task
from vapo_core.types import Batch, Problem

TOKENIZER = character_tokenizer("abcdef")
MILLIONS = {"tiny": (0.05, 0.2), "tiny32": (0.05, 0.2), "small": (0.7, 1.5), "medium": (7.0, 15.0)}


@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
@pytest.mark.parametrize("size", sorted(SIZES))
def test_size_is_what_its_name_says_and_embeddings_are_untied(size, architecture):
    model = build_model(size, architecture, TOKENIZER, 0)
    low, high = MILLIONS[size]
    assert low < sum(p.numel() for p in model.parameters()) / 1e6 < high
    assert not model.config.tie_word_embeddings


@pytest.mark.parametrize("architecture", ["llama", "qwen3"])
def test_engine_policy_and_critic_work_on_either_architecture(architecture, tmp_path):
    """Recorded log-probabilities equal recomputation; the critic shares the backbone's start; a round trip keeps weights."""
    model = build_model("tiny", architecture, TOKENIZER, 1)
    engine = TransformersEngine(model, TOKENIZER, 1.0, 12)
    rollout = engine.complete([TOKENIZER(text)["input_ids"] for text in ("ab", "cdef", "a")], 12, seed=0)
    batch = Batch.ungraded(rollout)
    logp, _ = LanguagePolicy(model, 1.0)(batch)
    torch.testing.assert_close(logp, rollout.logp, atol=1e-4, rtol=0)
    critic = LanguageCritic(on_backbone(model, 0.3))
    assert critic(batch).shape == batch.mask.shape
    assert torch.equal(critic(batch), critic(batch))  # no dropout: values are a function
    model.save_pretrained(tmp_path)
    again = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize(
    ("task", "dial", "values"),
    [("trap", "guess_share", (0.6, 0.605)), ("trap", "guess_right", (0.2, 0.21)), ("addition", "noise", (1.0, 0.99)),
     ("chain", "skew", (1.3, 1.31)), ("routes", "noise", (1.0, 0.95))],
)  # fmt: skip
def test_the_smallest_change_of_a_dial_is_another_base(task, dial, values):
    """Few demonstrations would show none of these."""
    keys = {content_key(base_identity(task, make_task(task, {dial: value}), Base())) for value in values}
    assert len(keys) == 2


def test_a_function_that_changes_a_little_is_another_base():
    def careless(share):
        return FunctionTask(
            lambda rng, n, split: [Problem(f"{d}=", str(d)) for d in rng.integers(10, size=n)], lambda p, r: 0.0,
            lambda problem, rng: problem.answer if rng.random() < share else "", alphabet="0123456789=", max_tokens=3,
        )  # fmt: skip

    keys = {content_key(base_identity("mine", careless(share), Base())) for share in (0.3, 0.3, 0.305)}
    assert len(keys) == 2


def test_a_base_is_named_by_everything_it_depends_on():
    task, other = make_task("text_walk", {}), make_task("text_walk", {"noise": 0.5})
    bases = [Base(), Base(init=1), Base(architecture="qwen3"), Base(model="small")]
    keys = {content_key(base_identity("text_walk", task, base)) for base in bases}
    keys.add(content_key(base_identity("text_walk", other, Base())))
    assert len(keys) == 5
    assert content_key(base_identity("text_walk", make_task("text_walk", {}), Base())) in keys


class Saved:
    """Stands for a model or a tokenizer."""

    def save_pretrained(self, folder):
        (folder / "weights").write_text("1")


def test_a_base_model_of_other_source_is_pretrained_again(tmp_path, monkeypatch, capfd):
    from vapo_core.models import base_model
    from vapo_core.sources import NAME, recorded, say_replaced, say_unrecorded

    say_replaced.cache_clear()
    say_unrecorded.cache_clear()
    made = []
    monkeypatch.setattr(base_model, "pretrain", lambda identity, task: made.append(1) or (Saved(), Saved()))
    monkeypatch.setattr(base_model, "_damage", lambda folder: "")
    folder = base_model.ensure_base({"task": "t"}, None, tmp_path)
    own = recorded(folder)
    assert len(own) == 16
    assert base_model.ensure_base({"task": "t"}, None, tmp_path) == folder
    assert (len(made), capfd.readouterr().err) == (1, "")
    (folder / NAME).write_text("0123456789abcdef")
    base_model.ensure_base({"task": "t"}, None, tmp_path)
    assert (len(made), recorded(folder)) == (2, own)
    assert f"base models in {folder.parent} made by other source (source 0123456789abcdef" in capfd.readouterr().err
    (folder / NAME).unlink()
    base_model.ensure_base({"task": "t"}, None, tmp_path)
    assert len(made) == 2
    assert "do not record their source" in capfd.readouterr().err
