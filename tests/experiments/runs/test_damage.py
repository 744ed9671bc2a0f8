"""One damaged record is named in one line; commands that read records go on with the others."""

import json
import shutil

import pytest

from experiments.cli import main
from experiments.runs.run import run_one
from tests.support.worlds import small_spec

GOOD, BAD = small_spec(), small_spec(recipe="ppo")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Two finished runs."""
    home = tmp_path_factory.mktemp("records")
    for spec in (GOOD, BAD):
        run_one(spec, home, "study")
    return home


@pytest.fixture
def runs(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "runs")


def changed(**fields):
    """A file whose JSON object has other fields."""

    def change(path):
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return change


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def twice(path):
    """A key is there twice."""
    path.write_text('{"seed": 0, ' + path.read_text().lstrip().removeprefix("{"))


def folder(path):
    path.unlink()
    path.mkdir()


def holding(content):
    return lambda path: path.write_bytes(content)


ANY = {
    "empty": holding(b""), "cut": cut, "null": holding(b"null"), "list": holding(b"[]"), "number": holding(b"3"),
    "text": holding(b'"x"'), "object": holding(b"{}"), "binary": holding(b"\xff\xfe\x00\x80"), "twice": twice,
    "deep": holding(b"[" * 100_000), "deep object": holding(b'{"a":' * 100_000), "folder": folder,
}  # fmt: skip
ROW = {
    "state": changed(state=3), "another state": changed(state="done"), "auc": changed(auc="x"), "last": changed(last=None),
    "seconds": changed(seconds=[1]), "seed": changed(seed="0"), "other": changed(spec=GOOD.hash), "inf": changed(auc=1e999),
    "world": changed(world="lm"), "list": changed(world=["walk"]), "huge": changed(auc=10**400), "true": changed(seed=True),
}  # fmt: skip
SPEC = {
    "unknown": changed(mystery=1), "newer": changed(protocol=99), "steps": changed(steps="x"), "world": changed(world="moon"),
    "task": changed(task=3), "other": lambda path: path.write_text(GOOD.model_dump_json()), "gone": lambda path: path.unlink(),
    "seed": changed(seed=-1), "worlds": changed(world=["walk"]), "settings": changed(settings=[1]),
}  # fmt: skip
DAMAGES = [
    *(pytest.param("row.json", do, id=f"row {name}") for name, do in {**ANY, **ROW}.items()),
    *(pytest.param("spec.json", do, id=f"spec {name}") for name, do in {**ANY, **SPEC}.items()),
]


def lines_about(error, runs):
    """Lines of stderr that name a damaged file."""
    return [line for line in error.splitlines() if BAD.hash in line and str(runs) in line]


@pytest.mark.parametrize(("name", "damage"), DAMAGES)
def test_a_damaged_run_is_named_and_the_others_go_on(runs, tmp_path, capsys, name, damage):
    damage(runs / BAD.hash / name)
    assert main(["ls", "--runs", str(runs)]) == 0
    said = capsys.readouterr()
    (line,) = lines_about(said.err, runs)
    assert name in line
    assert said.err.count("\n") == 1
    assert GOOD.hash in said.out
    (shown,) = [line for line in said.out.splitlines() if BAD.hash in line]
    assert "damaged" in shown or "newer" in shown

    assert main(["show", GOOD.hash[:8], "--runs", str(runs)]) == 0
    assert capsys.readouterr().err == ""
    for words in (["show", BAD.hash], ["compare", GOOD.hash, BAD.hash]):
        assert main([*words, "--runs", str(runs)]) in (0, 2)
        (line,) = lines_about(capsys.readouterr().err, runs)
        assert name in line

    assert main(["collect", str(runs), "--runs", str(tmp_path / "all")]) == 1
    said = capsys.readouterr()
    assert "collected 1 runs" in said.out
    assert len(lines_about(said.err, runs)) == 1
    assert (tmp_path / "all" / GOOD.hash / "row.json").read_bytes() == (runs / GOOD.hash / "row.json").read_bytes()
    assert not (tmp_path / "all" / BAD.hash).exists()


def test_a_newer_version_is_told_from_damage(runs, capsys):
    for field in ({"mystery": 1}, {"protocol": 99}):
        changed(**field)(runs / BAD.hash / "spec.json")
        assert main(["ls", "--runs", str(runs), "--state", "newer"]) == 0
        said = capsys.readouterr()
        assert "1 runs" in said.out
        assert f"{BAD.hash}/spec.json" in said.err


def test_a_row_under_a_wrong_name_replaces_none(runs, tmp_path, capsys):
    """A copied folder, or a row of another run: what is right in the target stays, what is wrong is left."""
    other = shutil.copytree(runs, tmp_path / "other")
    changed(auc=0.9)(other / GOOD.hash / "row.json")
    (other / GOOD.hash).rename(other / ("0" * 16))
    target = runs / GOOD.hash / "row.json"
    before = target.read_bytes()
    target.rename(target.with_name("kept"))
    assert main(["collect", str(other), "--runs", str(runs)]) == 1
    assert not target.exists()
    target.write_bytes(before)
    assert "0000000000000000/spec.json" in capsys.readouterr().err


LINES = {
    "empty line": b"\n", "null": b"null\n", "list": b"[]\n", "number": b"3\n", "binary": b"\xff\xfe\n",
    "deep": b"[" * 100_000 + b"\n",
    "text": b'{"step": 2, "metrics": {"a": "x"}}\n', "step": b'{"step": "2", "metrics": {"a": 1}}\n',
    "half a step": b'{"step": 2.5, "metrics": {"a": 1}}\n', "inf": b'{"step": 2, "metrics": {"a": 1e999}}\n',
    "no metrics": b'{"step": 2}\n', "list of metrics": b'{"step": 2, "metrics": [1]}\n',
    "infinite step": b'{"step": 1e999, "metrics": {}}\n',
}  # fmt: skip


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_a_damaged_curve_is_named_with_its_line(runs, tmp_path, capsys, line):
    path = runs / BAD.hash / "metrics.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], line, *lines[1:]]))
    for words in (["show", BAD.hash], ["compare", GOOD.hash, BAD.hash]):
        assert main([*words, "--runs", str(runs)]) == 0
        (said,) = capsys.readouterr().err.splitlines()
        assert f"{path}: line 2 of" in said
    assert main(["collect", str(runs), "--runs", str(tmp_path / "all")]) == 1
    said = capsys.readouterr()
    assert "collected 1 runs" in said.out
    assert str(path) in said.err
