"""What would end a long run is found before its first step; a checkpoint that cannot be written costs no records."""

import errno
import json
from pathlib import Path

import pytest
from transformers import AutoConfig, GenerationConfig

from experiments.runs.run import run_one
from tests.support.checkpoints import causal
from tests.support.worlds import small_spec, trainer_of
from tests.vapo_core.models.test_checkpoints import TASK, world_of
from tests.vapo_core.training.test_real_training import EVALUATION, settings_of
from vapo_core.files import dispensable
from vapo_core.full_disk import fullness
from vapo_core.recipe import RECIPES, assemble
from vapo_core.rollout.asking import Capacity, fault_of, positions_of
from vapo_core.tasks.base import FunctionTask
from vapo_core.trainer import Trainer
from vapo_core.types import Problem


def edited(folder: Path, file: str, **changes) -> str:
    """A template-less checkpoint with some keys of one of its JSON files changed."""
    causal(folder)
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return str(folder)


def with_template(folder: Path, template: object) -> str:
    """A checkpoint with this chat template."""
    return edited(folder, "tokenizer_config.json", chat_template=template)


def task_of(*prompts: str, max_tokens: int = 12) -> FunctionTask:
    """A task whose training problems are these prompts, again and again; the held-out ones are short."""

    def sample(rng, n, split):
        return [Problem(prompts[i % len(prompts)] if split == "train" else "1 plus 1?", "2") for i in range(n)]

    return FunctionTask(sample, lambda p, r: 0.0, lambda p, rng: "2", alphabet="0", max_tokens=max_tokens)


def real_trainer(checkpoint: str, cache: Path, task: FunctionTask = TASK) -> Trainer:
    settings, bundle = settings_of(), RECIPES["vapo"]
    world = world_of(checkpoint, cache, task, numbers=settings.model_dump())
    return Trainer(world, assemble(bundle.toggles, settings, bundle.variants), settings, EVALUATION, 0, 2, cache)


@pytest.mark.parametrize(
    "said",
    [
        {"temperature": 0.6},
        {"temperature": 0.6, "top_p": 0.9, "top_k": 20},
        {"temperature": 0.0},
        {"length_penalty": 2.0},
        {"output_scores": True},
        {"early_stopping": True, "num_beams": 1},
        {"pad_token_id": -1},
    ],
)
def test_a_generation_config_that_transformers_refuses_to_write_is_mended(said, tmp_path, capsys):
    """Left as it is, each of these ends a run at its first checkpoint; its stop tokens are kept whatever else is not."""
    checkpoint = edited(tmp_path / "base", "generation_config.json", **said)
    world = world_of(checkpoint, tmp_path)
    world.try_saving()
    world.save(tmp_path / "saved")
    written = GenerationConfig.from_pretrained(tmp_path / "saved" / "policy")
    asked = json.loads((tmp_path / "base" / "generation_config.json").read_text())
    assert set(asked["eos_token_id"]) <= set(written.eos_token_id)
    if said.get("temperature") == 0.6:  # one should sample, as vLLM does with such a file
        assert (written.do_sample, written.temperature) == (True, 0.6)
    else:
        assert "generation_config.json cannot be written" in capsys.readouterr().err


def test_a_checkpoint_that_could_not_be_written_is_refused_before_anything_is_trained(tmp_path, monkeypatch):
    trainer = real_trainer(causal(tmp_path / "base"), tmp_path)
    trainer.world.model.config.temperature = 0.3  # transformers refuses such a config when it is saved
    points: list[int] = []
    with pytest.raises(ValueError, match=r"base\.model = .*could not be written \(Some generation parameters"):
        trainer.run(lambda step, metrics: points.append(step), tmp_path / "kept", 1)
    assert points == []


@pytest.mark.parametrize(
    ("error", "stops"),
    [
        (RuntimeError("nobody can write this"), False),
        (ValueError("generation_config"), False),
        (PermissionError(13, "Permission denied", "x"), False),
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"), True),
    ],
)
def test_a_checkpoint_that_cannot_be_written_costs_a_warning_and_no_records(
    error, stops, cache, tmp_path, monkeypatch, capsys
):
    """A run's records are whole and its row stands, whatever a library says while it writes weights; a full disk stops it."""
    from vapo_core.worlds.language import LanguageWorld

    tries: list[Path] = []

    def fails(world, folder):
        tries.append(folder)
        raise error

    monkeypatch.setattr(LanguageWorld, "save", fails)
    monkeypatch.setattr("experiments.runs.run.CHECKPOINT_EVERY", {"walk": 0, "lm": 1})
    spec = small_spec("lm", steps=2)
    trainer_of(spec, cache)  # makes the base
    (tmp_path / "bases").symlink_to(cache / "bases")
    if stops:
        with pytest.raises(OSError, match=r"(No space left on device|Disk quota exceeded).*checkpoint"):
            run_one(spec, tmp_path, "test")
        assert len((tmp_path / spec.hash / "metrics.jsonl").read_text().splitlines()) == 2  # steps 0 and 1
        return
    row = run_one(spec, tmp_path, "test")
    assert (row["state"], len(tries)) == ("finished", 2)
    assert json.loads((tmp_path / spec.hash / "row.json").read_text())["last"] == row["last"]
    assert len((tmp_path / spec.hash / "metrics.jsonl").read_text().splitlines()) == 3
    said = capsys.readouterr().err
    assert said.count("could not be written") == 2
    assert "checkpoint after step 1 could not be written" in said


def test_a_model_card_that_cannot_be_written_costs_a_warning(tmp_path, monkeypatch, capsys):
    def fails(*anything):
        raise UnicodeEncodeError("ascii", "é", 0, 1, "no such letter")

    monkeypatch.setattr("experiments.runs.run.write_cards", fails)
    assert run_one(small_spec("walk", steps=1), tmp_path, "test")["state"] == "finished"
    assert "the model card could not be written" in capsys.readouterr().err


def test_a_full_disk_is_known_however_it_is_wrapped():
    with pytest.raises(OSError, match="No space left") as caught, Path("/dev/full").open("w") as handle:
        handle.write("x")
    assert fullness(caught.value) == errno.ENOSPC
    inner = RuntimeError("PytorchStreamWriter failed")
    inner.__cause__ = OSError(errno.ENOSPC, "No space left on device")
    assert fullness(inner) == errno.ENOSPC
    assert fullness(OSError(errno.EIO, "Input/output error")) is None
    with pytest.raises(KeyboardInterrupt), dispensable("a thing", Path("here")):
        raise KeyboardInterrupt


def test_the_one_prompt_that_is_too_long_is_found_in_the_pool(tmp_path):
    """It would have been drawn at step 9 to 17, hours later, and again after every --resume."""
    long = "What is " + "1 plus " * 80 + "2?"
    with pytest.raises(ValueError, match=r"task: problem 5 of split train \('What is 1 plus .*…'\) has \d+ tokens, and its"
                       r" answer up to 12, allowed is 128 together, the positions of base\.model; lower"):  # fmt: skip
        real_trainer(causal(tmp_path / "base"), tmp_path, task_of(*["What is 1 plus 2?"] * 5, long))


def test_a_long_prompt_of_the_evaluation_is_found_too(tmp_path):
    def sample(rng, n, split):
        return [Problem("1 plus " * (80 if split == "held_out" and i == 2 else 1), "2") for i in range(n)]

    task = FunctionTask(sample, lambda p, r: 0.0, lambda p, rng: "2", alphabet="0", max_tokens=12)
    with pytest.raises(ValueError, match="problem 2 of split held_out"):
        real_trainer(causal(tmp_path / "base"), tmp_path, task)


def test_splits_out_of_distribution_are_looked_at_where_a_probe_asks_them(cache, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr("vapo_core.worlds.language.check_problems", lambda engine, split, problems: asked.append(split))
    trainer_of(small_spec("lm", dials={"reach": 4}, probes={"generalization": 2}), cache)
    assert asked == ["train", "held_out", "ood_length"]


def test_a_probe_that_asks_too_much_is_left_out(cache, monkeypatch, capsys):
    from vapo_core.probes import PROBES
    from vapo_core.rollout.asking import CannotAsk

    def asks(view):
        raise CannotAsk("base.model: prompt 3 has 900 tokens")

    monkeypatch.setitem(PROBES, "exploration", asks)
    trainer = trainer_of(small_spec("lm", probes={"exploration": 1}), cache)
    assert trainer._probe(1) == {}
    assert "probe left out: base.model: prompt 3 has 900 tokens" in capsys.readouterr().err


def test_the_longest_answer_just_fits():
    room = Capacity(tokens=320, positions=20)
    assert fault_of([1] * 8, 12, room) == ""
    assert "has 9 tokens, and its answer up to 12, allowed is 20" in fault_of([1] * 9, 12, room)
    assert fault_of([1] * 900, 12, room._replace(positions=None)) == ""
    assert "has no tokens" in fault_of([], 12, room)
    assert fault_of([319], 1, room) == ""
    assert "has token 320, allowed is below 320" in fault_of([1, 320], 1, room)


@pytest.mark.parametrize(
    ("architecture", "more", "expected"),
    [
        ("qwen3", {"max_position_embeddings": 128}, 128),
        ("gpt2", {"n_positions": 64}, 64),
        ("bloom", {}, None),
        ("mistral", {"max_position_embeddings": 256, "sliding_window": 8}, 256),
        ("llama", {"max_position_embeddings": 128, "rope_scaling": {"rope_type": "linear", "factor": 4.0}}, 512),
        ("qwen2", {"max_position_embeddings": 128, "rope_scaling":
            {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}}, 512),
        ("qwen2", {"max_position_embeddings": 512, "rope_scaling":
            {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 128}}, 512),
        ("llama", {"max_position_embeddings": 512, "rope_scaling": {"rope_type": "llama3", "factor": 8.0,
            "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}}, 512),
    ],
)  # fmt: skip
def test_positions_are_those_that_the_config_states(architecture, more, expected):
    """Rotary positions may be stretched; where a config states no limit, none is made up."""
    assert positions_of(AutoConfig.for_model(architecture, **more)) == expected
