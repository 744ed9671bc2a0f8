"""What a record says of the source that computed it: which edits count, and how they are named."""

import json
import time
from pathlib import Path

import pytest

from tests.test_architecture import ROOT, imported_modules
from vapo_core import sources
from vapo_core.sources import BASES, NAME, Source, recorded

HALF = 'def half(x):\n    """Half."""\n    return x / 2\n'


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A checkout of two files; call it to begin again as a new process would."""
    root = tmp_path / "checkout"
    (root / "core" / "inner").mkdir(parents=True)
    (root / "core" / "half.py").write_text(HALF)
    (root / "core" / "inner" / "one.py").write_text("ONE = 1\n")
    monkeypatch.setattr(sources, "ROOT", root)

    def again() -> Source:
        for cached in (sources._hash, sources._code, sources._compiled):
            cached.cache_clear()
        return Source(("core",))

    yield again
    again()


def edit(tree, name: str, text: str) -> Source:
    (sources.ROOT / "core" / name).write_text(text)
    return tree()


@pytest.fixture
def record(tree, tmp_path):
    """A folder whose content comes from the tree as it is; its parent keeps the list of files."""
    folder = tmp_path / "runs" / "a"
    tree().record(folder, tmp_path / "runs")
    return folder


def test_the_same_source_is_no_difference(tree, record):
    assert recorded(record) == tree().hash
    assert len(tree().hash) == 16
    assert tree().difference(record, record.parent) == ""


def test_edited_code_is_named(tree, record):
    edited = edit(tree, "half.py", HALF.replace("2", "4"))
    assert edited.hash != recorded(record)
    assert edited.difference(record, record.parent) == "core/half.py"


@pytest.mark.parametrize(
    "text",
    [
        "# a comment\n" + HALF,
        HALF.replace('"""Half."""', '"""Half of a number.\n\n    And more.\n    """'),
        HALF.replace("x / 2", "(\n        x / 2\n    )"),
        HALF.replace("def", "\n\n\ndef"),
    ],
)
def test_comments_docstrings_and_layout_are_no_difference(text, tree, record):
    edited = edit(tree, "half.py", text)
    assert edited.hash != recorded(record)
    assert edited.difference(record, record.parent) == ""


@pytest.mark.parametrize(
    "text",
    [
        HALF.replace("half(x)", "half(x, y=3)"),
        HALF.replace("x / 2", "x // 2"),
        HALF + "half = abs\n",
        HALF.replace("x / 2", 'x["a"]'),
        HALF.replace("x / 2", "x / 2.0"),
    ],
)
def test_anything_else_is(text, tree, record):
    assert edit(tree, "half.py", text).difference(record, record.parent) == "core/half.py"


def test_files_that_came_and_went_are_named(tree, record):
    (sources.ROOT / "core" / "inner" / "one.py").unlink()
    edited = edit(tree, "inner/two.py", "TWO = 2\n")
    assert edited.difference(record, record.parent) == "core/inner/one.py, core/inner/two.py"


def test_many_files_are_counted(tree, record):
    for number in range(6):
        edited = edit(tree, f"more{number}.py", "")
    assert edited.difference(record, record.parent).endswith("core/more3.py and 2 more")


def test_a_name_and_its_content_are_not_taken_for_another(tree):
    """Without lengths, `a` holding `b.py...` could hash as two files."""
    first = edit(tree, "half.py", "x = 1\n").hash
    (sources.ROOT / "core" / "half.py").rename(sources.ROOT / "core" / "full.py")
    assert tree().hash != first


def test_where_the_list_of_files_is_gone_the_hash_is_named(tree, record):
    edited, before = edit(tree, "half.py", ""), recorded(record)
    (record.parent / "sources" / f"{before}.json").write_text("[")
    assert edited.difference(record, record.parent) == f"source {before}, whose files are not known here"


def test_a_record_without_a_source_is_taken_as_it_is(tree, record):
    edited = edit(tree, "half.py", "")
    (record / NAME).unlink()
    assert (recorded(record), edited.difference(record, record.parent)) == ("", "")


def test_the_list_holds_every_file_once(tree, record):
    listed = json.loads((record.parent / "sources" / f"{recorded(record)}.json").read_text())
    assert sorted(listed) == ["core/half.py", "core/inner/one.py"]


def test_it_is_cheap():
    """Under 30 ms of a core, measured as processor time; then nothing."""
    source = Source(("vapo_core",))
    best = min(_seconds(source) for _ in range(5))
    assert best < 0.06  # twice that on a busy machine
    begun = time.process_time()
    assert source.hash == source.hash
    assert time.process_time() - begun < 0.001


def _seconds(source: Source) -> float:
    sources._hash.cache_clear()
    begun = time.process_time()
    assert source.hash
    return time.process_time() - begun


def test_a_base_model_comes_from_no_other_file_of_ours():
    """Whatever `base_model.py` imports, directly or not, is among the files that its cache is known by."""
    todo, seen = [ROOT / "vapo_core" / "models" / "base_model.py"], set()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in imported_modules(path):
            parts = name.split(".")
            places = [ROOT.joinpath(*parts[:n]) for n in (len(parts), len(parts) - 1) if n > 1]
            todo += [p for place in places for p in (place.with_suffix(".py"), place / "__init__.py") if p.is_file()]
    files = {path for place in BASES.places for path in _of(ROOT / place)}
    assert seen - files - {ROOT / "vapo_core" / "sources.py", ROOT / "vapo_core" / "devices.py"} == set()


def _of(place: Path) -> list[Path]:
    return list(place.rglob("*.py")) if place.is_dir() else [place]
