"""Edited code never returns old results: runs and caches of other source are made again, and kept."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.launchers.launch import run_all
from experiments.launchers.workers import AttemptResult
from experiments.runs import source
from experiments.runs.delivery import pieces
from experiments.runs.run import finished_row, run_one
from experiments.runs.source import ROWS, git_commit, is_finished, replace_other
from tests.support.worlds import small_spec
from vapo_core.sources import NAME, recorded

OLD = "0123456789abcdef"
CHANGED = "vapo_core/components/length_adaptive_gae.py"


def by_other_source(run_dir: Path) -> None:
    """Make a record say what it would had one component been another when it was made."""
    runs = run_dir.parent
    listed = json.loads((runs / "sources" / f"{ROWS.hash}.json").read_text())
    assert CHANGED in listed
    (runs / "sources" / f"{OLD}.json").write_text(json.dumps({**listed, CHANGED: "otherwise"}))
    (run_dir / NAME).write_text(OLD)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """A finished run with its caches."""
    runs = tmp_path_factory.mktemp("source") / "runs"
    run_one(small_spec(), runs, "study")
    return runs


@pytest.fixture
def runs(ran, tmp_path):
    """A copy of it."""
    shutil.copytree(ran, tmp_path / "runs")
    return tmp_path / "runs"


def test_a_row_says_its_source(runs):
    row = finished_row(small_spec(), runs)
    assert row["source"] == ROWS.hash == recorded(runs / small_spec().hash)
    assert is_finished(small_spec(), runs)


def test_a_row_of_other_source_is_made_again_and_kept(runs, capfd):
    spec = small_spec()
    run_dir = runs / spec.hash
    old = json.loads((run_dir / "row.json").read_text())
    (run_dir / "row.json").write_text(json.dumps({**old, "auc": 0.123}))
    by_other_source(run_dir)
    assert finished_row(spec, runs) is None
    assert not is_finished(spec, runs)
    replace_other([spec], runs)
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert (
        f"run {spec.hash} in {runs}: computed by other source ({CHANGED}); kept in superseded/, it is made again"
        in said
    )
    row = run_one(spec, runs, "study")
    assert (row["auc"], row["attempts"]) == (old["auc"], 2)
    kept = run_dir / "superseded" / "1"
    assert json.loads((kept / "row.json").read_text())["auc"] == 0.123
    assert {"spec.json", "metrics.jsonl", NAME} <= {path.name for path in kept.iterdir()}
    assert not any("superseded" in piece.name for piece in pieces(run_dir))


def test_run_one_itself_never_returns_it(runs):
    """Whoever calls it, and whatever was said before."""
    spec = small_spec()
    row = finished_row(spec, runs)
    (runs / spec.hash / "row.json").write_text(json.dumps({**row, "auc": 0.123}))
    by_other_source(runs / spec.hash)
    assert run_one(spec, runs, "study")["auc"] == row["auc"]


def test_a_checkpoint_of_other_source_is_not_continued(runs):
    run_dir = runs / small_spec().hash
    (run_dir / "row.json").unlink()
    (run_dir / "checkpoint").mkdir()
    by_other_source(run_dir)
    replace_other([small_spec()], runs)
    assert not (run_dir / "checkpoint").exists()
    assert (run_dir / "superseded" / "1" / "checkpoint").is_dir()


def test_an_older_row_without_source_is_taken_as_it_is_and_said(runs, capfd):
    spec = small_spec()
    (runs / spec.hash / NAME).unlink()
    replace_other([spec], runs)
    assert capfd.readouterr().err == (
        f"warning: 1 finished run in {runs} from before source was recorded: taken as computed by the present source\n"
    )
    assert is_finished(spec, runs)
    assert run_one(spec, runs, "study")["attempts"] == 1


class Inline:
    """Runs each spec at once, in this process."""

    def __init__(self, runs: Path) -> None:
        self.runs, self.done = runs, []

    def has_capacity(self) -> bool:
        return not self.done

    def submit(self, spec) -> None:
        self.done.append((spec, AttemptResult(row=run_one(spec, self.runs, "study"))))

    def busy(self) -> bool:
        return bool(self.done)

    def poll(self):
        done, self.done = self.done, []
        return done

    def stop(self) -> None:
        pass


def test_a_grid_says_one_line_for_all_its_runs(runs, capfd):
    specs = [small_spec(seed=seed, steps=1) for seed in (0, 1)]
    rows = []
    run_all(specs, runs, lambda spec, row: rows.append(row), lambda todo: Inline(runs))
    for spec in specs:
        by_other_source(runs / spec.hash)
    capfd.readouterr()
    assert run_all(specs, runs, lambda spec, row: rows.append(row), lambda todo: Inline(runs)) == []
    said = capfd.readouterr().err
    assert said.count("warning: run") == 1
    assert f"run {specs[0].hash} and 1 more in {runs}: computed by other source ({CHANGED})" in said
    assert [row["attempts"] for row in rows] == [1, 1, 2, 2]


def test_a_warm_critic_of_other_source_is_fitted_again(runs, capfd):
    (folder,) = (path for path in (runs / "critics").iterdir() if path.is_dir())
    assert recorded(folder)
    weights = (folder / "critic.safetensors").read_bytes()
    (folder / "critic.safetensors").write_bytes(b"\0" * len(weights))
    (folder / NAME).write_text(OLD)
    shutil.rmtree(runs / small_spec().hash)
    run_one(small_spec(), runs, "study")
    assert (folder / "critic.safetensors").read_bytes() == weights
    assert recorded(folder) not in ("", OLD)
    said = capfd.readouterr().err
    assert f"warm critics in {folder.parent} made by other source (source {OLD}" in said
    assert "are made again" in said


def test_a_warm_critic_from_before_is_used_and_said(runs, capfd):
    from vapo_core import sources

    sources.say_unrecorded.cache_clear()
    (folder,) = (path for path in (runs / "critics").iterdir() if path.is_dir())
    (folder / NAME).unlink()
    before = (folder / "critic.safetensors").stat().st_mtime_ns
    shutil.rmtree(runs / small_spec().hash)
    run_one(small_spec(), runs, "study")
    assert (folder / "critic.safetensors").stat().st_mtime_ns == before
    assert "do not record their source" in capfd.readouterr().err


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    return subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True, text=True).stdout


def test_a_dirty_tree_is_recorded_as_such(tmp_path, monkeypatch):
    (tmp_path / "vapo_core").mkdir()
    (tmp_path / "experiments").mkdir()
    (tmp_path / "vapo_core" / "a.py").write_text("A = 1\n")
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "first"]):
        git(tmp_path, *words)
    monkeypatch.setattr(source, "ROOT", tmp_path)
    commit = git(tmp_path, "rev-parse", "--short", "HEAD").strip()

    def seen() -> str:
        git_commit.cache_clear()
        return git_commit()

    try:
        (tmp_path / "notes.txt").write_text("of no matter")
        assert seen() == commit
        (tmp_path / "vapo_core" / "b.py").write_text("B = 1\n")
        assert seen() == f"{commit}-dirty"
        (tmp_path / "vapo_core" / "b.py").unlink()
        (tmp_path / "vapo_core" / "a.py").write_text("A = 2\n")
        assert seen() == f"{commit}-dirty"
    finally:
        monkeypatch.undo()
        git_commit.cache_clear()


@pytest.mark.slow
def test_an_edited_component_gives_new_numbers(tmp_path):
    """What a person does: train, change the rule in its file, give the same command again."""
    root = Path(__file__).parents[3]
    for package in ("vapo_core", "experiments", "analysis"):
        shutil.copytree(root / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    words = (
        "train --world walk --steps 2 --size 8 --horizon 12 --settings.responses-per-step 32 --settings.group-size 4"
    )
    words += " --settings.pool-size 16 --settings.warmup-steps 2 --evaluation.problems 16"

    def train() -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "experiments", *words.split()], cwd=tmp_path, check=True, capture_output=True, text=True,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
        )  # fmt: skip
        (score,) = (line for line in done.stdout.splitlines() if "area" in line)
        return score.partition(" in ")[0], done.stderr

    first, _ = train()
    assert train()[0] == first
    rule = tmp_path / CHANGED
    rule.write_text(rule.read_text().replace("(1 - 1 / (settings.alpha", "(1 - 8 / (settings.alpha"))
    second, said = train()
    assert second != first
    assert f"computed by other source ({CHANGED})" in said
    rule.write_text(rule.read_text().replace('"""The same lambda for every length."""', '"""One lambda."""'))
    again, said = train()
    assert again == second
    assert "other source" not in said


def test_trials_of_other_code_do_not_count(monkeypatch):
    """A sweep keeps scores in its own store; there, too, a search of other code is another one."""
    from experiments.commands.sweep import configure
    from experiments.sweeps.sweep import studies_of
    from vapo_core import sources

    config, dials = configure(["alpha", "--preset", "smoke"], {})
    names = {study.plan.name for study in studies_of(config, dials)}
    assert names == {study.plan.name for study in studies_of(config, dials)}
    monkeypatch.setattr(sources, "_code", lambda places: {CHANGED: "otherwise"})
    assert names.isdisjoint(study.plan.name for study in studies_of(config, dials))


def test_machines_share_rows_of_one_source(monkeypatch):
    """The database names a run by spec and source; rows from before sources were recorded count, as those on disk do."""
    from experiments.services.database import Database

    held = {
        "aa": {"spec": "aa", "auc": 1}, "bb": {"spec": "bb", "auc": 2, "source": "x"},
        "aa-old": {"spec": "aa", "auc": 3, "source": "o"},
        "cc-new": {"spec": "cc", "auc": 4, "source": "n"}, "cc": {"spec": "cc", "auc": 5},
    }  # fmt: skip
    written = []

    def do(self, statement, **values):
        if statement.startswith("select"):
            return [(name, json.dumps(held[name])) for name in values["specs"] if name in held]
        written.append(values["spec"])
        return []

    monkeypatch.setattr(Database, "_do", do)
    new = Database("postgresql://x", "new")
    assert {name: row["auc"] for name, row in new.rows(["aa", "bb", "cc"]).items()} == {"aa": 1, "cc": 4}
    assert {name: row["auc"] for name, row in Database("postgresql://x").rows(["aa", "bb"]).items()} == {
        "aa": 1,
        "bb": 2,
    }
    new.put("aa", {"spec": "aa"})
    new.take("aa", "me")
    new.leave("aa", "me")
    assert written == ["aa-new"] * 3
