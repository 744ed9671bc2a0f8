"""Every row of the tables in `tests/bad_inputs/`: one line that names field or file, the exit code, no traceback, in time.

A row: what kind of fault it is, the words of the command, what stands in its folder (`plants.py`), its environment
(NAME=VALUE), the exit code, and a regular expression that the line matches. {x*5000} in words is that many
letters, {run} the name of a finished run; <newline>, <zero> and <escape> are those characters.
"""

import csv
import importlib.util
import os
import re
import shlex
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from experiments.cli import COMMANDS, main
from tests.bad_inputs.plants import plant
from tests.support.worlds import small_spec

TABLES = Path(__file__).parent / "bad_inputs"
LIMIT_S = 30.0
"""Seconds; most cases take a fifth of one, a few import MLflow first."""


class Case(NamedTuple):
    """A row of a table."""

    kind: str
    words: str
    plants: str
    environment: str
    code: str
    expected: str


def cases() -> Iterator[tuple[str, Case]]:
    """(command, row) of every table."""
    for path in sorted(TABLES.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as handle:
            yield from ((path.stem, Case(**row)) for row in csv.DictReader(handle))


CASES = list(cases())


def spelled(words: str) -> list[str]:
    """The words of a row."""
    words = words.replace("{run}", small_spec().hash)
    long = re.sub(r"\{(.)\*(\d+)\}", lambda found: found[1] * int(found[2]), words)
    return [
        word.replace("<newline>", "\n").replace("<zero>", "\0").replace("<escape>", "\x1b")
        for word in shlex.split(long)
    ]


@pytest.fixture(scope="session")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two finished runs of the walk and their table; a small checkpoint beside them."""
    from experiments.runs.collect import collect
    from experiments.runs.run import run_one
    from tests.support.checkpoints import causal

    home = tmp_path_factory.mktemp("bad") / "records"
    specs = [small_spec(recipe=recipe) for recipe in ("vapo", "ppo")]
    for spec in specs:
        run_one(spec, home, "study")
    collect(specs, home, home / "ablate-x")
    causal(home.parent / "checkpoint", template=True)
    return home


def hide(packages, monkeypatch):
    """Let these packages seem not to be installed."""
    really = importlib.util.find_spec
    for place in ("importlib.util", "experiments.specs.engines", "experiments.benchmarks"):
        monkeypatch.setattr(f"{place}.find_spec", lambda name, *rest: None if name in packages else really(name, *rest))


@pytest.fixture
def scene(tmp_path, monkeypatch, records):
    """Makes the place of a case, and stops it when its time is over."""

    def make(case: Case) -> None:
        monkeypatch.chdir(tmp_path)
        for name in ("MLFLOW_TRACKING_URI", "OPTUNA_STORAGE", "WORLD_SIZE"):
            monkeypatch.delenv(name, raising=False)
        for name, _, value in (word.partition("=") for word in shlex.split(case.environment)):
            monkeypatch.setenv(name, value)
        hide(
            [name.removeprefix("without-") for name in case.plants.split() if name.startswith("without-")], monkeypatch
        )
        plant(case.plants.split(), tmp_path, records)
        signal.setitimer(signal.ITIMER_REAL, LIMIT_S)

    class Late(BaseException):
        pass

    def late(*_):
        raise Late(f"no answer in {LIMIT_S:.0f} s")

    before = signal.signal(signal.SIGALRM, late)
    yield make
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    ("command", "case"), CASES, ids=[f"{name}-{case.kind}-{case.words}"[:90] for name, case in CASES]
)
def test_bad_input_is_one_line(command, case, scene, capfd):
    scene(case)
    assert main(spelled(case.words)) == int(case.code)
    said = capfd.readouterr().err
    assert "Traceback" not in said
    assert "internal error" not in said
    if case.code == "0":  # what is damaged is named, and the rest goes on
        assert any(re.search(case.expected, line) for line in said.splitlines()), said
        return
    lines = [line for line in said.splitlines() if not line.startswith("warning: ")]
    assert len(lines) == 1, said
    assert lines[0].startswith("vapo: ")
    assert re.search(case.expected, lines[0]), said


def test_tables_are_large_enough():
    """Three hundred rows, ten of every command, five of every kind."""
    commands = Counter(name for name, _ in CASES)
    kinds = Counter(case.kind for _, case in CASES)
    assert len(CASES) >= 300
    assert set(COMMANDS) <= set(commands)
    assert min(commands.values()) >= 10, commands
    assert min(kinds.values()) >= 5, kinds


IN_A_PROCESS = [(name, case) for name, case in CASES if case.kind in ("nested", "environment")][::4]


@pytest.mark.parametrize(("command", "case"), IN_A_PROCESS, ids=[case.words[:60] for _, case in IN_A_PROCESS])
def test_bad_input_is_one_line_in_a_process_of_its_own(command, case, scene, tmp_path):
    scene(case)
    done = run(spelled(case.words))
    assert done.returncode == int(case.code)
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert re.search(case.expected, done.stderr)


def run(words: list[str], **more) -> subprocess.CompletedProcess[str]:
    """The command as a shell would start it."""
    root = str(Path(__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-m", "experiments", *words],
        env={**os.environ, "PYTHONPATH": root}, text=True, check=False, stderr=subprocess.PIPE, timeout=60, **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    "words",
    ["--help", "train --help", "train --world walk --dry-run", "ablate --dry-run", "completion bash", "ls", "show {}"],
)
def test_a_reader_that_stops_reading_is_no_fault(words, records):
    """As in `vapo show RUN | head -0`: also what is printed while Python ends, and what rich prints."""
    given = [word.format(small_spec().hash) for word in words.split()]
    place = ["--runs", str(records)] if given[0] in ("ls", "show") else []
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as output:
        done = run([*given, *place], stdout=output)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_disk_under_the_output_is_said():
    with Path("/dev/full").open("wb") as output:
        done = run(["--help"], stdout=output)
    assert (done.returncode, done.stderr) == (2, "vapo: No space left on device\n")


def test_a_fault_of_ours_is_one_line(monkeypatch, capsys):
    import experiments.commands.ls as ls

    def broken(runs):
        raise KeyError("row")

    monkeypatch.setattr(ls, "listing", broken)
    monkeypatch.delenv("VAPO_TRACEBACK", raising=False)
    assert main(["ls"]) == 1
    said = capsys.readouterr().err
    assert re.fullmatch(
        r"vapo: internal error: KeyError: 'row' \(test_bad_inputs\.py:\d+\); set VAPO_TRACEBACK=1 to see the traceback\n",
        said,
    )
    monkeypatch.setenv("VAPO_TRACEBACK", "1")
    assert main(["ls"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("base: {chat: off}", "base.chat", "off"),
        ("base: {chat: on}", "base.chat", "on"),
        ("base: {lora: {on: true}}", "base.lora.on", True),
        ("base: {lora: {on: on}}", "base.lora.on", True),
        ("toggles: {clip_higher: off}", "toggles.clip_higher", False),
        ("toggles: {clip_higher: no}", "toggles.clip_higher", False),
        ("toggles: {clip_higher: False}", "toggles.clip_higher", False),
        ("settings: {policy_lr: 1e-6}", "settings.policy_lr", 1e-6),
        ("settings: {policy_lr: .5}", "settings.policy_lr", 0.5),
        ("settings: {value_clip: .inf}", "settings.value_clip", "Infinity"),
        ("settings: {value_clip: inf}", "settings.value_clip", "Infinity"),
        ("seed: 010", "seed", 10),
        ("seed: +7", "seed", 7),
        ("steps: 1_000", "steps", 1000),
        ("base: &b {chat: off}\nsettings: {mu: 0.5}", "settings.mu", 0.5),
        ("base: {revision: yes}", "base.revision", "yes"),
        ("base: {revision: 2024-05-01}", "base.revision", "2024-05-01"),
    ],
)
def test_yaml_means_what_the_flags_mean(text, field, value, tmp_path, capsys):
    """YAML 1.1 would read off and on as booleans, 010 as eight, 1e-6 as a word."""
    import json

    (tmp_path / "run.yaml").write_text(text)
    assert main(["train", "--dry-run", "--config", str(tmp_path / "run.yaml")]) == 0
    found = json.loads(capsys.readouterr().out)
    for name in field.split("."):
        found = found[name]
    assert found == value
