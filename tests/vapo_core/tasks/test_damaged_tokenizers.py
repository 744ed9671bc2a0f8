"""Tokenizers and chat templates that cannot be used, and prompts that cannot be read: one line, before anything is sampled."""

import json
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from tests.support.checkpoints import bpe, causal
from tests.support.worlds import small_spec, trainer_of
from tests.vapo_core.models.test_checkpoints import PROBLEMS, TASK, world_of
from tests.vapo_core.rollout.test_before_the_first_step import real_trainer, task_of, with_template
from vapo_core.tasks.base import FunctionTask
from vapo_core.types import Problem


def refused(checkpoint: str, folder: Path, task: FunctionTask = TASK) -> str:
    """What a world on this checkpoint says when it is asked its problems."""
    with pytest.raises(ValueError, match=r"^(base\.model|task): ") as caught:
        world_of(checkpoint, folder, task).check("train", PROBLEMS)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "nonsense",
        "null",
        "[]",
        "{}",
        "",
        "5",
        "[" * 100_000,
        '{"a":' * 100_000 + "1" + "}" * 100_000,
        '"text"',
        "\ufeff{",
    ],
)
@pytest.mark.parametrize("file", ["tokenizer.json", "tokenizer_config.json"])
def test_a_damaged_tokenizer_is_one_line(file, content, tmp_path):
    causal(tmp_path / "base")
    if (file, content) == ("tokenizer_config.json", "{}"):
        pytest.skip("says nothing wrong")
    (tmp_path / "base" / file).write_text(content)
    assert refused(str(tmp_path / "base"), tmp_path).startswith(f"base.model: '{tmp_path}/base' cannot be read")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda model: model.pop("vocab"), "Missing vocab"),
        (lambda model: model.update(vocab=[1, 2]), "invalid type"),
        (lambda model: model.update(vocab={"a": -4}, merges=[]), "invalid value"),
        (lambda model: model.update(vocab={}, merges=[]), "has no tokens, allowed is 1 or more"),
        (lambda model: model.update(vocab={"W": 4}, merges=[]), "which the checkpoint's tokenizer cannot read"),
        (
            lambda model: model.update(vocab={k: i + 900 for k, i in model["vocab"].items()}),
            "has an embedding of 320 tokens",
        ),
    ],
)
def test_a_vocabulary_that_cannot_be_is_one_line(change, expected, tmp_path):
    """Also one whose tokens have no embedding, and one without letters, which reads every prompt as nothing."""
    checkpoint = causal(tmp_path / "base")
    path = tmp_path / "base" / "tokenizer.json"
    content = json.loads(path.read_text())
    change(content["model"])
    path.write_text(json.dumps(content))
    assert expected in refused(checkpoint, tmp_path)


def test_added_tokens_without_an_embedding_do_no_harm_where_nothing_reads_them(tmp_path):
    """A pad token added to the tokenizer alone, as many published checkpoints have it, stands in places nothing reads."""
    checkpoint = causal(tmp_path / "base", pad=False)
    tokenizer = bpe(pad=False)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    assert tokenizer.pad_token_id == AutoModelForCausalLM.from_pretrained(checkpoint).config.vocab_size
    tokenizer.save_pretrained(checkpoint)
    world = world_of(checkpoint, tmp_path)
    world.check("train", PROBLEMS)
    rollout = world.engine.generate(PROBLEMS, 2, seed=0)
    assert int(rollout.inputs["ids"].max()) < tokenizer.pad_token_id


def test_stop_tokens_without_an_embedding_could_end_no_answer(tmp_path):
    checkpoint = causal(tmp_path / "base")
    (tmp_path / "base" / "generation_config.json").unlink()
    tokenizer = bpe()
    tokenizer.add_special_tokens({"eos_token": "<|end|>"})
    tokenizer.save_pretrained(checkpoint)
    config = json.loads((tmp_path / "base" / "config.json").read_text())
    (tmp_path / "base" / "config.json").write_text(json.dumps({**config, "eos_token_id": len(tokenizer) - 1}))
    assert "has an embedding of 320 tokens, its tokenizer has '<|end|>' as number 320" in refused(checkpoint, tmp_path)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ raise_exception('no users here') }}", "no users here"),
        ("{{ foo.bar }}", "'foo' is undefined"),
        ("{% if %}", "Expected an expression"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{% include 'x' %}", "no loader"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "nested too deeply"),
        ("{% if a %}" * 3000, "nested too deeply"),
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "takes longer than"),
        ("{% for i in range(10 ** 12) %}a{% endfor %}", "Range too big"),
        ("{{ 'x' * 10 ** 13 }}", "too long for this machine's memory"),
        ("{{ 'x' * 10 ** 6 }}", "adds 999980 characters"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{# nothing #}", "drops the message text"),
        ("hello", "drops the message text"),
        ("{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}", "drops the message"),
        (5, "cannot write a conversation"),
        (True, "cannot write a conversation"),
        ({"a": "b"}, "no default"),
        ([1], "cannot be read"),
    ],
)  # fmt: skip
def test_a_template_that_cannot_be_used_is_one_line(template, expected, tmp_path, monkeypatch):
    monkeypatch.setattr("vapo_core.models.text.TEMPLATE_S", 0.5)
    said = refused(with_template(tmp_path / "base", template), tmp_path)
    assert said.startswith("base.model: ")
    assert expected in said


def test_prompts_without_a_token_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"problem 0 of split train \(''\) has no tokens, allowed is 1 or more"):
        real_trainer(causal(tmp_path / "base"), tmp_path, task_of(""))
    world = world_of(causal(tmp_path / "other"), tmp_path)
    with pytest.raises(ValueError, match="prompt 0 has no tokens"):
        world.engine.generate([Problem("", "2")] * 3, 1, seed=0)


def test_prompts_that_the_tokenizer_cannot_read_are_refused(cache):
    """A base model of another task knows other characters, and would train on prompts of nothing but <unk>."""
    trainer = trainer_of(small_spec("lm"), cache)
    with pytest.raises(
        ValueError, match=r"problem 0 of split train \('5\+6 is'\) has ' \+56s', which the checkpoint's"
    ):
        trainer.world.check("train", [Problem("5+6 is", "11")])
