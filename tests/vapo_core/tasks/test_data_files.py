"""Data files as they come: what is wrong with one is a line naming file, place and field; what is right is read as it stands."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from vapo_core.tasks import make_task
from vapo_core.tasks.json_lines import DEEPEST, json_rows, too_deep

GOOD = '{"problem": "What is %d + 1?", "answer": "%d"}'


def lines(*more: str, good: int = 30) -> bytes:
    """Good rows, then others."""
    return "\n".join([*(GOOD % (i, i + 1) for i in range(good)), *more, ""]).encode()


def written(folder: Path, data: bytes, name: str = "mine.jsonl") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def answers(path: Path, **dials: Any) -> dict[str, str]:
    """Problem -> reference, of every problem of a file."""
    train, held_out, *_ = make_task("jsonl", {"path": str(path), **dials}).problems()
    return {problem.prompt.partition("\n")[0]: problem.answer.answer for problem in (*train, *held_out)}


BAD = {
    "null answer": (lines('{"problem": "p", "answer": null}'), "line 31: field 'answer' is null, allowed: a text or a number"),
    "null problem": (lines('{"problem": null, "answer": "1"}'), "line 31: field 'problem' is null"),
    "blank answer": (lines('{"problem": "p", "answer": " \\t"}'), "line 31: field 'answer' is blank"),
    "empty answer": (lines('{"problem": "p", "answer": ""}'), "line 31: field 'answer' is blank"),
    "blank problem": (lines('{"problem": "\\n", "answer": "1"}'), "line 31: field 'problem' is blank"),
    "missing answer": (lines('{"problem": "p"}'), "line 31: no column 'answer' .there are: problem."),
    "missing problem": (lines('{"answer": "1"}'), "line 31: no column 'problem' .there are: answer."),
    "no field at all": (lines("{}"), "line 31: no column 'problem' .there are: none."),
    "nested problem": (lines('{"problem": {"text": "p"}, "answer": "1"}'), "line 31: field 'problem' is an object"),
    "list as answer": (lines('{"problem": "p", "answer": ["1"]}'), "line 31: field 'answer' is a list"),
    "null line": (lines("null"), "line 31: is null, allowed: an object"),
    "number line": (lines("5"), "line 31: is '5', allowed: an object"),
    "text line": (lines('"text"'), "line 31: is 'text', allowed: an object"),
    "true line": (lines("true"), "line 31: is true, allowed: an object"),
    "list line": (lines('["p", "1"]'), "line 31: is a list, allowed: an object"),
    "brackets": (lines("[" * 100_000), f"line 31: nested more than {DEEPEST} deep"),
    "objects": (lines('{"a":' * 100_000), f"line 31: nested more than {DEEPEST} deep"),
    "brackets in a field": (
        lines('{"problem": "p", "answer": ' + "[" * 100_000 + "]" * 100_000 + "}"), f"line 31: nested more than {DEEPEST} deep",
    ),
    "not UTF-8": (lines() + b'{"problem": "caf\xe9", "answer": "1"}\n', r"line 31: is not UTF-8 .byte 0xe9 at 17."),
    "UTF-16": (lines().decode().encode("utf-16"), "line 1: is not UTF-8"),
    "pickle": (b"\x80\x04\x95\x0b\x00\x00\x00", "line 1: is not UTF-8"),
    "half a character": (lines('{"problem": "\\ud800", "answer": "1"}'), "line 31: is not JSON .*surrogates not allowed"),
    "cut off": (lines('{"problem": "p", "ans'), "line 31: is not JSON .Unterminated string starting at character 18."),
    "two objects": (lines((GOOD + GOOD) % (1, 2, 3, 4)), "line 31: is not JSON .Extra data at character"),
    "single quotes": (lines("{'problem': 'p'}"), "line 31: is not JSON .Expecting property name"),
    "a comma too many": (lines('{"problem": "p", "answer": "1",}'), "line 31: is not JSON"),
    "field twice": (lines('{"problem": "p", "answer": "1", "answer": "2"}'), "line 31: .*field 'answer' is given twice"),
    "NaN": (lines('{"problem": "p", "answer": NaN}'), "line 31: is not JSON .NaN is no number of JSON"),
    "Infinity": (lines('{"problem": "p", "answer": -Infinity}'), "line 31: is not JSON .-Infinity is no number of JSON"),
    "a long answer": (lines('{"problem": "p", "answer": "%s"}' % ("7" * 1001)), "line 31: field 'answer' has .* 1,001 char"),
    "a gigantic line": (lines('{"problem": "%s"' % ("x" * (17 << 20))), "line 31: longer than 16 MiB"),
    "one row": (lines(good=1), "1 problem in all, the held-out share of 0.1 leaves none for"),
    "empty": (b"", "has no row"),
    "blank": (b"\n \r\n\t\n", "has no row"),
}  # fmt: skip


def both(path: Path) -> None:
    task = make_task("jsonl", {"path": str(path)})
    for split in ("train", "held_out"):
        task.sample(np.random.default_rng(0), 1, split)


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_is_one_line_that_names_it(what, tmp_path):
    data, message = BAD[what]
    path = written(tmp_path, data)
    with pytest.raises(ValueError, match=message) as caught:
        both(path)
    said = str(caught.value)
    assert said.startswith(f"path: {path}")
    assert "\n" not in said
    assert len(said) < 400 + len(str(path))


@pytest.mark.parametrize(
    "what", ["null answer", "brackets", "not UTF-8", "field twice", "null line", "missing problem"]
)
@pytest.mark.parametrize("name", ["gsm8k", "math", "aime_2024", "dapo_math_17k"])
def test_every_task_says_so(name, what, tmp_path):
    path = written(tmp_path, BAD[what][0])
    dials = {} if name == "aime_2024" else {"held_out_path": str(path)}
    with pytest.raises(ValueError, match=r"mine.jsonl, line \d+: ") as caught:
        make_task(name, {"path": str(path), **dials}).problems()
    assert "\n" not in str(caught.value)


PUBLIC: dict[str, tuple[dict[str, Any], list[tuple[dict[str, Any], str]]]] = {
    "gsm8k": (
        {"question": "q", "answer": "one\n#### 1"},
        [({"answer": None}, "'answer' is null"), ({"question": " "}, "'question' is blank"),
         ({"answer": "one\n####  "}, "'answer' has no final answer"),
         ({"answer": "It is one."}, "'answer' has no number after ####")],
    ),
    "math": (
        {"problem": "p", "solution": "\\boxed 2", "level": "Level 2"},
        [({"solution": None}, "'solution' is null"), ({"solution": "It is 2."}, "'solution' has no final answer"),
         ({"problem": ""}, "'problem' is blank"), ({"solution": "\\boxed{}"}, "'solution' has no final answer")],
    ),
    "aime_2024": (
        {"Problem": "p", "Solution": "s", "Answer": 5},
        [({"Answer": None}, "'Answer' is null"), ({"Problem": 5.5, "Answer": {}}, "'Answer' is an object"),
         ({"Solution": None}, "'Solution' is null")],
    ),
    "dapo_math_17k": (
        {"prompt": [{"role": "user", "content": "p"}], "reward_model": {"ground_truth": "5"}},
        [({"prompt": []}, "'prompt' is not a single message"), ({"prompt": None}, "'prompt' is not a single message"),
         ({"prompt": [{"role": "user", "content": None}]}, "'prompt' is not a single message"),
         ({"prompt": [5]}, "'prompt' is not a single message"), ({"reward_model": None}, "'reward_model' is not an object"),
         ({"reward_model": {"ground_truth": None}}, "'ground_truth' is null"),
         ({"reward_model": {}}, "no column 'ground_truth'")],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PUBLIC)
def test_no_task_trains_on_what_is_missing(name, tmp_path):
    """Once a null answer was trained on as the text "None"."""
    good, changes = PUBLIC[name]
    for change, message in changes:
        path = written(tmp_path, (json.dumps(good) + "\n" + json.dumps({**good, **change}) + "\n").encode())
        if not {"problem", "question", "Problem", "prompt"} & set(change):  # a text of its own, so that it is no repeat
            other = {key: value for key, value in good.items() if isinstance(value, str)}
            first = next(iter(other), "prompt")
            fresh = {first: "another"} if first in other else {"prompt": [{"role": "user", "content": "another"}]}
            path = written(
                tmp_path, (json.dumps(good) + "\n" + json.dumps({**good, **fresh, **change}) + "\n").encode()
            )
        dials = {} if name == "aime_2024" else {"held_out_path": str(path)}
        with pytest.raises(ValueError, match=f"mine.jsonl, line 2.*{message}"):
            make_task(name, {"path": str(path), **dials}).problems()


def test_answers_are_the_text_in_the_file(tmp_path):
    """Once dates became times, whole numbers beside a decimal lost digits, and 1.10 its last."""
    said = {
        "date": '"2024-05-01"', "long": "12345678901234567", "decimal": "1.10", "power": "1e400", "tiny": "1E-7", "true": "true",
        "zero": '"007"', "text": '" Tuesday "', "minus": "-0", "mixed": '"1 1/2"', "box": '"so \\\\boxed 2"',
        "hash": '"a\\n#### 7"',
    }  # fmt: skip
    path = written(
        tmp_path, "\n".join(f'{{"problem": "{name}", "answer": {value}}}' for name, value in said.items()).encode()
    )
    assert answers(path) == {
        "date": "2024-05-01", "long": "12345678901234567", "decimal": "1.10", "power": "1e400", "tiny": "1E-7", "true": "true",
        "zero": "007", "text": "Tuesday", "minus": "-0", "mixed": "1 1/2", "box": "2", "hash": "7",
    }  # fmt: skip


WAYS: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda data: data,
    "byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "Windows line ends": lambda data: data.replace(b"\n", b"\r\n"),
    "blank lines": lambda data: b"\n \n" + data.replace(b"\n", b"\n\n"),
    "no last line end": lambda data: data.rstrip(b"\n"),
    "more fields": lambda data: data.replace(b'"answer"', b'"more": {"deep": [[1, null]]}, "answer"'),
    "mixed types": lambda data: data.replace(b'"answer": "7"', b'"answer": 7').replace(
        b'"answer": "8"', b'"answer": 8.0'
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_does_not_matter_is_no_matter(way, tmp_path):
    plain = answers(written(tmp_path, lines(), "plain.jsonl"))
    found = answers(written(tmp_path, WAYS[way](lines())))
    assert len(found) == 30
    assert {name: float(answer) for name, answer in found.items()} == {
        name: float(answer) for name, answer in plain.items()
    }


def test_a_json_file_may_be_one_array_or_one_object(tmp_path):
    rows = [{"problem": f"{i}?", "answer": i} for i in range(20)]
    for text in (json.dumps(rows), json.dumps(rows, indent=1), "\ufeff\n" + json.dumps(rows)):
        assert len(answers(written(tmp_path, text.encode(), "mine.json"))) == 20
    one = written(tmp_path, json.dumps(rows[0], indent=2).encode(), "one.json")
    assert [row.values for row in json_rows(one)] == [{"problem": "0?", "answer": "0"}]
    assert len(answers(written(tmp_path, lines(), "lines.json"))) == 30
    for text, message in (
        ("[5]", "row 1: is '5'"),
        ("[" * 100_000, "nested more than"),
        ('[{"problem": "p"}, ', "is not JSON"),
    ):
        with pytest.raises(ValueError, match=f"mine.json.*{message}"):
            answers(written(tmp_path, text.encode(), "mine.json"))


@pytest.mark.parametrize(
    "bad", [b"", b"PAR1", b"ARROW1", b"not a table", b"PAR1" + b"\x00" * 64 + b"PAR1", b"\xff" * 100]
)
@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_a_damaged_table_is_one_line(form, bad, tmp_path):
    with pytest.raises(ValueError, match=f"path: .*mine.{form}(: cannot be read as {form}| has no row)") as caught:
        answers(written(tmp_path, bad, f"mine.{form}"))
    assert "\n" not in str(caught.value)


def test_rows_of_a_table_are_named_too(tmp_path):
    table = pyarrow.table({"problem": ["a", "b"], "answer": [1.5, None]})
    pyarrow.parquet.write_table(table, tmp_path / "mine.parquet")
    with pytest.raises(ValueError, match=r"mine.parquet, row 2: field 'answer' is null"):
        answers(tmp_path / "mine.parquet")
    table = pyarrow.table({"problem": ["a", "b"], "answer": [1.5, float("nan")]})
    pyarrow.parquet.write_table(table, tmp_path / "mine.parquet")
    with pytest.raises(ValueError, match=r"mine.parquet, row 2: field 'answer' is nan"):
        answers(tmp_path / "mine.parquet")


@pytest.mark.parametrize(
    "name", ["a[1]", "a*", "a?b", "50%20off", "a%2Fb", "{a,b}", "a b", "é", "~x", "#1", "a:b", "-x", "**", "$HOME"]
)
@pytest.mark.parametrize("form", ["jsonl", "json", "parquet", "arrow"])
def test_a_path_is_the_file_it_names(name, form, tmp_path):
    """Never a pattern or an address: beside it stand files that a pattern or an unescaped name would find."""
    folder = tmp_path / name
    table = pyarrow.table({"problem": [f"{name} {i}" for i in range(20)], "answer": list(range(20))})
    decoy = pyarrow.table({"problem": ["decoy"], "answer": [0]})
    for place, rows in (
        (folder / f"{name}-train.{form}", table),
        *((tmp_path / d / f"{d}.{form}", decoy) for d in ("a1", "axb", "a")),
    ):
        place.parent.mkdir(parents=True, exist_ok=True)
        if form == "parquet":
            pyarrow.parquet.write_table(rows, pyarrow.OSFile(str(place), "wb"))
        elif form == "arrow":
            with place.open("wb") as sink, pyarrow.ipc.new_stream(sink, rows.schema) as writer:
                writer.write_table(rows)
        else:
            place.write_text("\n".join(map(json.dumps, rows.to_pylist())))
    wanted = {f"{name} {i}" for i in range(20)}
    assert set(answers(folder / f"{name}-train.{form}")) == wanted
    assert set(answers(folder)) == wanted


def test_an_arrow_file_is_read_like_a_stream(tmp_path):
    table = pyarrow.table({"problem": ["a", "b"], "answer": ["1", "2"]})
    with (tmp_path / "mine.arrow").open("wb") as sink, pyarrow.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    assert answers(tmp_path / "mine.arrow") == {"a": "1", "b": "2"}


def test_local_files_need_no_other_package(tmp_path, monkeypatch):
    """Neither `datasets` nor math-verify, where answers are plain; an answer that needs it is said before the first step."""
    monkeypatch.setitem(sys.modules, "datasets", None)
    monkeypatch.setattr("vapo_core.tasks.mathematics.installed", lambda: False)
    monkeypatch.setattr("vapo_core.grading.pool.installed", lambda: False)
    task = make_task("jsonl", {"path": str(written(tmp_path, lines()))})
    problem = task.sample(np.random.default_rng(0), 1, "train")[0]
    assert task.verify(problem, f"\\boxed{{{problem.answer.answer}\\text{{ cm}}}}").reward == 1.0
    assert not task.verify(problem, "\\boxed{x+1}").parsed
    path = written(tmp_path, lines('{"problem": "p", "answer": "x^2+1"}'))
    with pytest.raises(ValueError, match=r"the answer 'x\^2\+1' .* math-verify: pip install 'vapo-lab\[real\]'"):
        make_task("jsonl", {"path": str(path)}).sample(np.random.default_rng(0), 1, "train")


def test_depth_is_counted_outside_texts_and_in_time_that_grows_with_the_length():
    assert not too_deep('{"a": "' + "[" * 1000 + '"}')
    assert not too_deep('{"a": "\\"' + "[" * 1000 + '"}')
    assert not too_deep("[" + "[]," * 1000 + "1]")
    assert too_deep('{"a": "\\\\"' + "[" * 1000 + "}")
    for pattern in ('"', '\\"', "\\", '"\\', "[", '["', "{}", '"[\\"'):
        too_deep("[" * 65 + pattern * 300_000)
        too_deep('"' + pattern * 300_000 + "[" * 100)
