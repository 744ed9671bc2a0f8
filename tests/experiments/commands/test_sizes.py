"""Sizes are checked before anything of that size is counted or laid out: one line, exit code 2, at once."""

import time

import pytest
from pydantic import BaseModel

from experiments.ablations.ablate import AblateConfig, plan
from experiments.cli import main
from experiments.commands.ablate import configure
from experiments.commands.evaluate import EvaluateConfig
from experiments.commands.ls import LsConfig
from experiments.commands.tasks import TasksConfig
from experiments.commands.trace import TraceConfig
from experiments.commands.train import TrainConfig
from experiments.specs.config_file import LARGEST, MOST_VALUES, read_yaml
from experiments.specs.designs import grid, own
from experiments.specs.factors import Factor
from experiments.sweeps.sweep import SweepConfig
from vapo_core import bounds
from vapo_core.settings import Base, Evaluation, Lora, Settings
from vapo_core.tasks import TASKS

CONFIGS: list[type[BaseModel]] = [
    TrainConfig, AblateConfig, SweepConfig, EvaluateConfig, TraceConfig, TasksConfig, LsConfig, Settings, Evaluation, Base,
    Lora, *(entry.dials for name, entry in TASKS.items() if entry.world == "walk" or entry.pretrained_here),
]  # fmt: skip


def refused(capsys, *words: str, within: float = 20.0) -> str:
    """What the command line says, given these words; `within` leaves room for a busy machine."""
    began = time.perf_counter()
    assert main(words) == 2
    assert time.perf_counter() - began < within
    said = capsys.readouterr().err
    assert said.startswith("vapo: ")
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize("model", CONFIGS, ids=lambda model: model.__name__)
def test_every_whole_number_has_a_largest_one_and_its_help_says_so(model):
    """One without a bound is counted or laid out, whatever it is."""
    whole = {name: info for name, info in model.model_fields.items() if info.annotation in (int, int | None)}
    without = [name for name, info in whole.items() if not any(hasattr(mark, "le") for mark in info.metadata)]
    assert without == []
    seeds = [name for name in whole if name == "init" or name.endswith("seed")]
    said = [name for name, info in whole.items() if "; at most " in (info.description or "at most ; at most ")]
    assert sorted([*said, *seeds]) == sorted(whole)


@pytest.mark.parametrize("size", ["1000000000", "1000000000000", "1000000000000000000", "1" + "0" * 40])
@pytest.mark.parametrize(
    "words",
    [
        ("ablate", "--dry-run", "--seeds"),
        ("ablate", "--dry-run", "--steps"),
        ("ablate", "--dry-run", "--workers"),
        ("ablate", "--dry-run", "--settings.pool-size"),
        ("train", "--dry-run", "--steps"),
        ("train", "--dry-run", "--log-every"),
        ("train", "--dry-run", "--settings.responses-per-step"),
        ("train", "--dry-run", "--settings.group-size"),
        ("train", "--dry-run", "--settings.warmup-steps"),
        ("train", "--dry-run", "--settings.epochs"),
        ("train", "--dry-run", "--settings.continuations"),
        ("train", "--dry-run", "--evaluation.problems"),
        ("train", "--dry-run", "--evaluation.k"),
        ("train", "--dry-run", "--base.lora.rank"),
        ("train", "--dry-run", "--dials.horizon"),
        ("train", "--dry-run", "--dials.filler"),
        ("train", "--dry-run", "--probes", "value_error"),
        ("train", "--world", "walk", "--dry-run", "--dials.size"),
        ("train", "--world", "walk", "--dry-run", "--dials.horizon"),
        ("train", "--world", "walk", "--dry-run", "--dials.filler"),
        ("train", "--task", "reasoning_gym", "--dry-run", "--dials.max-tokens"),
        ("sweep", "alpha", "--dry-run", "--trials"),
        ("sweep", "alpha", "--dry-run", "--seeds"),
        ("sweep", "alpha", "--dry-run", "--workers"),
        ("evaluate", "nowhere", "--problems"),
        ("evaluate", "nowhere", "--answers"),
        ("evaluate", "nowhere", "--k"),
        ("trace", "nowhere", "--problems"),
        ("trace", "nowhere", "--truth"),
        ("tasks", "--seeds"),
        ("tasks", "--workers"),
        ("tasks", "--bases", "--inits"),
        ("study", "h3", "--dry-run", "--workers"),
        ("ls", "--limit"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_size_beyond_any_experiment_is_refused_at_once(words, size, capsys):
    assert size in refused(capsys, *words, size)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("ablate", "--seeds", "20000"), "11 arms x 20000 seeds = 220000, allowed are 20000"),
        (("sweep", "alpha", "--trials", "10000", "--seeds", "1000"), "10000 trials x 1000 seeds = 10000000"),
        (("ablate", "--design", "grid", "--vary", "alpha", *map(str, range(1, 401)), "--vary", "mu",
          *map(str, range(1, 401))), "400 values of alpha x 400 values of mu = 160000"),
        (("train", "--evaluation.k", "10000", "--evaluation.k-problems", "10000"), "10000 k_problems x 20000 answers"),
        (("trace", "nowhere", "--problems", "10000", "--answers", "10000"), "10000 problems x 10000 answers"),
        (("evaluate", "nowhere", "--problems", "100000", "--answers", "1000"), "100000 problems x 1000 answers"),
        (("train", "--world", "walk", "--dials.size", "256", "--dials.horizon", "1000"), "131072 states of the walk x 1000"),
        (("train", "--world", "walk", "--dials.filler", "100000"), "48 decisions x 100001 tokens each"),
        (("train", "--task", "chain", "--dials.filler", "500"), "answers may have 4528 tokens, but base models"),
    ],
)  # fmt: skip
def test_sizes_that_are_too_large_only_together_are_refused(words, expected, capsys):
    dry = () if words[0] in ("trace", "evaluate") else ("--dry-run",)
    assert expected in refused(capsys, *words, *dry)


def test_what_has_no_room_in_memory_is_refused(capsys, monkeypatch):
    monkeypatch.setattr(bounds, "memory", lambda: 2**30)
    words = ("train", "--settings.responses-per-step", "1000000", "--settings.group-size", "16", "--dry-run")
    said = refused(capsys, *words)
    assert (
        "settings.responses_per_step: 1000000 responses x 35 tokens take 1 GiB, allowed are this machine's 1 GiB"
        in said
    )
    monkeypatch.setattr(bounds, "memory", lambda: None)  # a system that does not tell
    assert main(words) == 0


def test_this_machine_tells_its_memory():
    there = bounds.memory()
    assert there is None or 2**27 < there < 2**50


def test_a_grid_is_counted_before_it_is_listed():
    factors = [Factor("settings", f"f{i}", 0, tuple(range(1000))) for i in range(6)]
    with pytest.raises(ValueError, match=r"vary: 1000 values of f0 x .* = 1000000000000000000, allowed are"):
        grid(own("vapo"), factors)


def test_every_seed_of_a_plan_is_the_spec_it_always_was():
    """Cells are checked once and copied over the seeds: the copies must be what checking each would give."""
    config, dials = configure(["--seeds", "3", "--first-seed", "7", "--design", "add-one-in"], {})
    for spec in plan(config, dials).specs:
        assert type(spec).model_validate(spec.model_dump()).hash == spec.hash
        assert spec.base.init == spec.seed


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize("command", ["train", "ablate", "sweep"])
@pytest.mark.parametrize("content", [f"{BOMB}probes: *i\n", "a: &a [*a]\n", "a: &a {b: *a}\n"])
def test_aliases_that_stand_for_too_much_are_refused(command, content, tmp_path, capsys):
    path = tmp_path / "options.yaml"
    path.write_text(content)
    names = ("alpha",) if command == "sweep" else ()
    said = refused(capsys, command, *names, "--config", str(path), "--dry-run")
    assert f"{path}: its aliases expand to more than" in said


def test_a_file_without_an_end_is_refused(capsys):
    assert f"/dev/zero: larger than {LARGEST} bytes" in refused(capsys, "train", "--config", "/dev/zero", "--dry-run")


def test_aliases_are_counted_as_often_as_they_stand(tmp_path):
    """A shared list of a hundred may stand in a hundred places, not in a thousand places of ten."""
    path = tmp_path / "options.yaml"
    line = f"a: &a [{', '.join(['x'] * 100)}]\n"
    path.write_text(f"{line}b: [{', '.join(['*a'] * 100)}]\n")
    assert len(read_yaml(path)["b"]) == 100
    path.write_text(f"{line}b: [{', '.join(['*a'] * (MOST_VALUES // 100))}]\n")
    with pytest.raises(ValueError, match="aliases expand to more than"):
        read_yaml(path)
