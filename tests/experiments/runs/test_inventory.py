"""Commands that look at records: ls, show, compare, clean, ui, completion."""

import pytest

from experiments.cli import COMMANDS, main
from experiments.commands.ui import UiConfig, command, environment
from experiments.runs.run import run_one
from tests.support.worlds import small_spec


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    home = tmp_path_factory.mktemp("records")
    for recipe in ("vapo", "ppo"):
        run_one(small_spec(recipe=recipe), home, "study")
    unfinished = home / "0123456789abcdef"
    unfinished.mkdir()
    (unfinished / "attempts").write_text("1")
    (unfinished / "spec.json").write_text(small_spec(seed=9).model_dump_json())
    return home


def test_ls_lists_and_filters(runs, capsys):
    assert main(["ls", "--runs", str(runs)]) == 0
    said = capsys.readouterr().out
    assert small_spec().hash in said
    assert "3 runs" in said
    assert main(["ls", "--runs", str(runs), "--state", "unfinished"]) == 0
    said = capsys.readouterr().out
    assert "1 runs" in said
    assert small_spec().hash not in said


def test_show_tells_what_differs_and_what_came_of_it(runs, capsys):
    assert main(["show", small_spec().hash[:8], "--runs", str(runs)]) == 0
    said = capsys.readouterr().out
    assert "settings.alpha = 0.5" in said
    assert "state = finished" in said
    assert "actor/entropy" in said


def test_compare_shows_differences_only(runs, capsys):
    names = [small_spec(recipe=recipe).hash for recipe in ("vapo", "ppo")]
    assert main(["compare", *names, "--runs", str(runs)]) == 0
    said = capsys.readouterr().out
    assert "toggles.clip_higher" in said
    assert "settings.alpha" not in said


def test_unknown_or_ambiguous_run_is_one_line(runs, capsys):
    for name in ("zzz", ""):
        assert main(["show", name, "--runs", str(runs)]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_clean_asks_first_and_never_touches_finished_runs(runs, capsys):
    assert main(["clean", "--runs", str(runs)]) == 0
    assert (runs / "0123456789abcdef").exists()
    assert main(["clean", "--runs", str(runs), "--yes"]) == 0
    assert not (runs / "0123456789abcdef").exists()
    assert (runs / small_spec().hash / "row.json").exists()


def test_ui_binds_to_the_loopback_address(runs):
    words = command(UiConfig(runs=runs))
    assert words[words.index("--host") + 1] == "127.0.0.1"


def test_ui_shows_no_password_to_other_users_of_the_machine(runs, monkeypatch):
    """A command line is everybody's to read."""
    pytest.importorskip("psycopg", reason="needs psycopg (pip install -e '.[cluster]')")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:open-sesame@db/mlflow")
    assert "open-sesame" not in " ".join(command(UiConfig(runs=runs)))
    assert "open-sesame" in environment(UiConfig(runs=runs))["MLFLOW_BACKEND_STORE_URI"]


def test_completion_knows_every_command(capsys):
    assert main(["completion", "bash"]) == 0
    said = capsys.readouterr().out
    assert all(f"    {name})" in said for name in COMMANDS)
    assert "--settings.alpha" in said


# --- clean removes nothing but what it made ---


def fill(folder, *names):
    """A folder with these files."""
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("1")
    return folder


RUN, KEY = "0123456789abcdef", "fedcba9876543210"
OTHERS = {
    "another name": ("notes", ["attempts"]),
    "a name too long": (RUN + "0", ["attempts", "spec.json"]),
    "capitals": (RUN.upper(), ["attempts"]),
    "somebody's file": (RUN, ["attempts", "spec.json", "thesis.tex"]),
    "somebody's repository": (RUN, ["attempts", ".git/config"]),
    "finished": (RUN, ["attempts", "row.json"]),
    "never begun": (RUN, ["spec.json"]),
    "results of earlier source": (RUN, ["attempts", "superseded/1/row.json"]),
    "no cache": ("bases", ["thesis.tex", "attempts"]),
    "no entry of a cache": (f"critics/{KEY}", ["thesis.tex"]),
    "a cache's neighbour": ("bases/notes", ["identity.json"]),
}


@pytest.mark.parametrize(("name", "files"), OTHERS.values(), ids=OTHERS.keys())
def test_clean_leaves_what_is_no_run_and_no_cache(tmp_path, name, files):
    home = fill(tmp_path / name, *files)
    assert main(["clean", "--runs", str(tmp_path), "--caches", "--yes"]) == 0
    assert all((home / file).is_file() for file in files)


def test_clean_removes_all_that_a_run_may_have_begun_with(tmp_path):
    fill(tmp_path / RUN, "attempts", "spec.json", "origin.json", "inputs.json", "source.txt", "plugin.py", "lock")
    assert main(["clean", "--runs", str(tmp_path), "--yes"]) == 0
    assert not (tmp_path / RUN).exists()


def test_clean_follows_no_link(tmp_path, capsys):
    elsewhere = fill(tmp_path / "elsewhere", "attempts", "identity.json")
    runs = fill(tmp_path / "runs")
    for link in (runs / RUN, runs / "critics"):
        link.symlink_to(elsewhere)
    (fill(runs / "bases") / KEY).symlink_to(elsewhere)
    within = fill(runs / KEY, "attempts", "checkpoint/weights")
    (within / "checkpoint" / "link").symlink_to(elsewhere)
    (fill(runs / ("a" * 16), "attempts") / "checkpoint").symlink_to(elsewhere)
    assert main(["clean", "--runs", str(runs), "--caches", "--yes"]) == 0
    assert sorted(path.name for path in elsewhere.iterdir()) == ["attempts", "identity.json"]
    assert not within.exists()
    assert "1 folders removed" in capsys.readouterr().out


def test_clean_removes_entries_of_caches(tmp_path):
    fill(tmp_path / "bases" / KEY, "identity.json", "model.safetensors")
    fill(tmp_path / "critics" / KEY, "warm.json", "critic.safetensors")
    fill(tmp_path / "critics" / f"{KEY}.damaged1", "critic.safetensors")
    assert main(["clean", "--runs", str(tmp_path), "--yes"]) == 0
    assert (tmp_path / "bases" / KEY).exists()
    assert main(["clean", "--runs", str(tmp_path), "--caches", "--yes"]) == 0
    assert [path for name in ("bases", "critics") for path in (tmp_path / name).iterdir() if path.is_dir()] == []


def test_clean_of_the_root_finds_no_run_there(capsys):
    assert main(["clean", "--runs", "/"]) == 0
    assert capsys.readouterr().out == "0 folders would be removed; use --yes to remove them\n"
