"""A sweep's journal of trials, damaged in every way a file can be: it is set aside in one line, and the sweep begins anew."""

import json

import pytest

from experiments.services.store import store_of
from experiments.sweeps.space import Dimension, SearchPlan
from experiments.sweeps.tune import open_study, records, set_damaged_aside, work
from vapo_core.reading import Unreadable

PLAN = SearchPlan("a study", (Dimension("alpha", "log", 0.02, 20.0, False),), 3, 1, "grid-free", 0, "none")

DAMAGED = {
    "binary": (bytes(range(256)) + b"\n", "line 1"),
    "zeros": (bytes(512) + b"\n", "line 1"),
    "words": (b"no journal\n", "line 1"),
    "list": (b"[1, 2]\n", "line 1"),
    "number": (b"3\n", "line 1"),
    "null": (b"null\n", "line 1"),
    "foreign": (b'{"step": 1, "metrics": {}}\n', "line 1"),
    "deep": (b"[" * 5000 + b"\n", "line 1"),
    "operation": (b'{"op_code": 99, "worker_id": "x"}\n', ""),
    "latin1": ('{"op_code": "ö"}\n'.encode("latin-1"), "line 1"),
    "blank": (b"\n\n\n", "line 1"),
    "binary without a line end": (bytes(range(256)) * 2, "line 3"),
    "one line of bytes": (bytes(range(128, 256)), "line 1"),
    "words without a line end": (b"no journal", "line 1"),
    "another program's JSON, cut": (b'{"step": 1, "metr', "line 1"),
    "entry, then bytes": (b'{"op_code":0,"worker_id":"x","study_name":"s","directions":[2]}\n\xff\xfe', "line 2"),
    "entry that ends in bytes": (b'{"op_code":0,"wor\xff\x00', "line 1"),
}
"""Kind -> (content, what the message names)."""


def score(values, index, number):
    return values["alpha"]


def at_work_again(journal):
    """What a sweep finds after it was asked to go on."""
    set_damaged_aside(journal)
    work({PLAN: score}, journal)
    return [record.slot for record in records(open_study(journal, PLAN), PLAN)]


@pytest.mark.parametrize("kind", DAMAGED)
def test_a_damaged_journal_is_set_aside_and_its_trials_are_proposed_again(kind, tmp_path, capsys):
    journal = tmp_path / "journal.log"
    content, named = DAMAGED[kind]
    journal.write_bytes(content)
    assert at_work_again(journal) == [0, 1, 2]
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "journal.log" in told
    assert named in told
    assert "finished runs are reused" in told
    assert [path.read_bytes() for path in tmp_path.glob("journal.log.damaged*")] == [content]


def test_a_folder_in_place_of_a_journal_is_set_aside(tmp_path, capsys):
    journal = tmp_path / "journal.log"
    journal.mkdir()
    assert at_work_again(journal) == [0, 1, 2]
    assert "not a file" in capsys.readouterr().err
    assert [path.is_dir() for path in tmp_path.glob("journal.log.damaged*")] == [True]


def test_a_line_damaged_between_others_is_found_by_its_number(tmp_path, capsys):
    journal = tmp_path / "journal.log"
    at_work_again(journal)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([*lines[:2], lines[2][:10] + b"\n", *lines[3:]]))
    capsys.readouterr()
    assert at_work_again(journal) == [0, 1, 2]
    assert "line 3" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b'{"op', b'{"op_code": 0, "wor'], ids=["empty", "cut early", "cut"])
def test_a_journal_of_a_killed_sweep_is_no_damage(content, tmp_path, capsys):
    """What a kill leaves: nothing yet, or half a last line, which is dropped."""
    journal = tmp_path / "journal.log"
    journal.write_bytes(content)
    assert at_work_again(journal) == [0, 1, 2]
    assert capsys.readouterr().err == ""
    assert all(json.loads(line) for line in journal.read_bytes().splitlines())


def test_a_journal_cut_within_keeps_the_trials_before_the_cut(tmp_path, capsys):
    journal = tmp_path / "journal.log"
    at_work_again(journal)
    whole = journal.read_bytes()
    journal.write_bytes(whole[: len(whole) - 5])
    capsys.readouterr()
    assert at_work_again(journal) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_the_journal_of_a_sweep_at_work_is_left_alone(tmp_path):
    journal = tmp_path / "journal.log"
    open_study(journal, PLAN)
    with store_of(journal).working():
        journal.write_bytes(b"no journal\n")
        with pytest.raises(ValueError, match=r"journal\.log: line 1.*another command is using it"):
            set_damaged_aside(journal)
    assert journal.read_bytes() == b"no journal\n"


def test_bytes_that_appear_at_the_end_of_a_journal_stop_its_reader_and_stay(tmp_path):
    """Damage while a sweep is at work: nothing is cut off, and the lock is free for the next reader."""
    journal = tmp_path / "journal.log"
    at_work_again(journal)
    damaged = journal.read_bytes() + b"\xff\xfe"
    journal.write_bytes(damaged)
    for _ in range(2):
        with pytest.raises(Unreadable, match=r"journal\.log: line \d+ is neither"):
            open_study(journal, PLAN)
    assert journal.read_bytes() == damaged
