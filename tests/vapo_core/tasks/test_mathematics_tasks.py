"""Mathematics tasks from small files in each public format: splits apart, the same samples from any file, clear refusals."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vapo_core.tasks import TASKS, make_task, mathematics
from vapo_core.tasks.base import Grade, verify_all
from vapo_core.tasks.mathematics import BOXED, text_hash

datasets = pytest.importorskip("datasets", reason="the extra `real` is not installed")
pytest.importorskip("math_verify", reason="the extra `real` is not installed")

MATHEMATICS = sorted(name for name, entry in TASKS.items() if not entry.pretrained_here)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def gsm8k(numbers: range) -> list[dict[str, Any]]:
    answer = "Add one: <<{0}+1={1}>>{1}.\nDone.\n#### {1:,}"
    return [{"question": f"What is {i} plus 1?", "answer": answer.format(i, i + 1)} for i in numbers]


def competition(numbers: range) -> list[dict[str, Any]]:
    return [
        {"problem": f"Halve {i}.", "level": f"Level {i % 5 + 1}", "type": "Algebra",
         "solution": f"Half of it is $\\boxed{{\\frac{{{i}}}{{2}}}}$."}
        for i in numbers
    ]  # fmt: skip


def dapo(numbers: range) -> list[dict[str, Any]]:
    return [
        {"data_source": "math_dapo", "ability": "MATH", "extra_info": {"index": str(i)},
         "prompt": [{"role": "user", "content": f"Solve. Last line: Answer: $Answer\n\nSquare {i}."}],
         "reward_model": {"ground_truth": str(i * i), "style": "rule"}}
        for i in numbers
    ]  # fmt: skip


def aime(numbers: range) -> list[dict[str, Any]]:
    return [{"ID": f"2024-I-{i}", "Problem": f"Find {i}.", "Solution": f"It is {i}.", "Answer": i} for i in numbers]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """In the format that the name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = datasets.Dataset.from_list(rows)
    if path.suffix == ".parquet":
        data.to_parquet(str(path))
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        data.save_to_disk(str(path.parent))
    return path


PUBLIC = {
    "gsm8k": ("main/train-00000-of-00001.parquet", gsm8k, "main/test-00000-of-00001.parquet", gsm8k),
    "math": ("algebra/train-00000-of-00001.parquet", competition, "MATH-500/test.jsonl", competition),
    "aime_2024": (None, None, "aime_2024_problems.parquet", aime),
    "dapo_math_17k": ("data/dapo-math-17k.parquet", dapo, "data/aime-2024.parquet", dapo),
    "jsonl": ("train.jsonl", gsm8k, "test.jsonl", gsm8k),
}
"""Task -> files and rows as the hub has them."""
FIELDS = {"problem_field": "question", "answer_field": "answer"}


def local(name: str, folder: Path) -> Any:
    """The task from files laid out as on the hub: 40 problems to train on, 10 held out, 3 of them in both, 2 twice."""
    train, rows, test, examined = PUBLIC[name]
    if train:
        write(folder / train, rows(range(43)) + rows(range(2)))
    write(folder / test, examined(range(40, 50)))
    return make_task(name, {"path": str(folder), **(FIELDS if name == "jsonl" else {})})


@pytest.mark.parametrize("name", MATHEMATICS)
def test_splits_share_no_problem_and_say_what_was_left_out(name, tmp_path, capsys):
    task = local(name, tmp_path / name)
    capsys.readouterr()
    mathematics.say_once.cache_clear()
    train, held_out, repeats, shared = task.problems()
    assert len(held_out) == 10
    assert (len(train), repeats, shared) == ((0, 0, 0) if name == "aime_2024" else (40, 2, 3))
    assert not {text_hash(p.prompt) for p in train} & {text_hash(p.prompt) for p in held_out}
    assert capsys.readouterr().err == (
        f"task {name}: {len(train)} problems to train on, 10 held out"
        f" (left out: {repeats} repeats, {shared} that are held out)\n"
    )


@pytest.mark.parametrize("name", MATHEMATICS)
def test_demonstrations_are_right_and_others_wrong(name, tmp_path):
    task, rng = local(name, tmp_path), np.random.default_rng(0)
    problems = task.sample(rng, 8, "held_out")
    shown = [task.demonstration(problem, rng) for problem in problems]
    assert task.verify_all(problems, shown) == [Grade(1.0, mode="answer")] * 8
    assert task.verify_all(problems, ["\\boxed{-3}"] * 8) == [Grade(0.0)] * 8
    assert task.verify_all(problems, ["I do not know."] * 8) == [Grade(0.0, parsed=False)] * 8
    assert task.verify(problems[0], shown[0]) == Grade(1.0, mode="answer")


def test_prompts_ask_for_a_box_except_where_the_data_ask_themselves(tmp_path):
    rng = np.random.default_rng(0)
    for name in MATHEMATICS:
        (problem,) = local(name, tmp_path / name).sample(rng, 1, "held_out")
        assert problem.prompt.endswith(BOXED) == (name != "dapo_math_17k")
        assert problem.prompt.startswith("Solve. Last line") == (name == "dapo_math_17k")


def test_calculator_notes_are_no_part_of_a_solution(tmp_path):
    task = local("gsm8k", tmp_path)
    problem = next(p for p in task.problems().held_out if "What is 41 plus" in p.prompt)
    assert problem.answer == ("42", "Add one: 42.\nDone.\n\\boxed{42}")
    assert task.boundaries(problem.answer.solution) == [13, 19]


@pytest.mark.parametrize("form", ["train.parquet", "train.jsonl", "train/data-00000-of-00001.arrow"])
def test_the_same_samples_from_any_format_and_order(form, tmp_path):
    """Broken once by keeping the file's order."""
    rows, sampled = gsm8k(range(30)), []
    for number, order in enumerate((rows, rows[::-1])):
        write(tmp_path / str(number) / form, order)
        test = write(tmp_path / "held_out.jsonl", gsm8k(range(40, 42)))
        task = make_task("gsm8k", {"path": str(tmp_path / str(number)), "held_out_path": str(test)})
        sampled.append(task.sample(np.random.default_rng(5), 40, "train"))
    assert sampled[0] == sampled[1]
    assert len({p.prompt for p in sampled[0][:30]}) == 30


def test_a_file_without_held_out_problems_is_parted_by_text(tmp_path):
    path = write(tmp_path / "mine.jsonl", gsm8k(range(400)))
    task = make_task("jsonl", {"path": str(path), "held_out_share": 0.25, **FIELDS})
    again = make_task("jsonl", {"path": str(path), "held_out_share": 0.25, **FIELDS})
    assert task.problems() == again.problems()
    assert len(task.problems().train) + len(task.problems().held_out) == 400
    assert 70 < len(task.problems().held_out) < 130


def test_answers_of_ones_own_may_be_numbers(tmp_path):
    path = write(tmp_path / "mine.jsonl", [{"problem": f"{i}?", "answer": i / 4} for i in range(40)])
    task = make_task("jsonl", {"path": str(path)})
    problem = task.sample(np.random.default_rng(0), 1, "train")[0]
    assert task.verify(problem, f"\\boxed{{{problem.answer.answer}}}").reward == 1.0


@pytest.mark.parametrize(
    ("name", "dials", "message"),
    [
        ("jsonl", {}, "dials.path: task jsonl needs a file"),
        ("jsonl", {"path": "nowhere.jsonl"}, "path: no file or folder nowhere.jsonl"),
        ("jsonl", {"path": "mine.jsonl", "problem_field": "task"}, "no column 'task' .there are: question, answer"),
        ("jsonl", {"path": "notes.txt"}, "no data of split 'train'.*allowed: .parquet, .jsonl"),
        ("jsonl", {"path": "broken.jsonl"}, "path: broken.jsonl, line 1: is not JSON"),
        ("gsm8k", {"path": "mine.jsonl"}, "no held-out problems; name them with --dials.held-out-path"),
        ("dapo_math_17k", {"path": "mine.jsonl", "held_out_path": "mine.jsonl"}, "no column 'prompt'"),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(name, dials, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(Path("mine.jsonl"), gsm8k(range(5)))
    Path("notes.txt").write_text("5")
    Path("broken.jsonl").write_text('{"question": ')
    with pytest.raises(ValueError, match=message) as caught:
        make_task(name, dials).problems()
    assert "\n" not in str(caught.value)


def test_a_hub_out_of_reach_is_one_clear_line(monkeypatch):
    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route to the hub\nretrying")

    monkeypatch.setattr(datasets, "load_dataset", away)
    for name in ("gsm8k", "math", "aime_2024", "dapo_math_17k"):
        with pytest.raises(ValueError, match=r"hub cannot give it .ConnectionError.; name a local copy") as caught:
            make_task(name, {}).sample(np.random.default_rng(0), 1, "held_out")
        assert "\n" not in str(caught.value)


def test_the_hub_is_asked_for_a_pinned_revision(monkeypatch):
    asked = []

    def load(name: str, config: str | None, split: str, revision: str) -> Any:
        asked.append((name, config, split))
        assert len(revision) == 40
        rows = gsm8k(range(3)) if split == "train" else gsm8k(range(3, 5))
        return datasets.Dataset.from_list(rows)

    monkeypatch.setattr(datasets, "load_dataset", load)
    task = make_task("gsm8k", {})
    assert len(task.sample(np.random.default_rng(0), 3, "train")) == 3
    assert asked == [("openai/gsm8k", "main", "train"), ("openai/gsm8k", "main", "test")]


def test_aime_is_for_examination(tmp_path):
    with pytest.raises(ValueError, match="train on dapo_math_17k"):
        local("aime_2024", tmp_path).sample(np.random.default_rng(0), 1, "train")


def test_responses_are_graded_together_where_a_task_can(tmp_path):
    task = local("gsm8k", tmp_path)
    problems = task.sample(np.random.default_rng(0), 2, "train")
    calls = []
    task.pool.compare = lambda pairs: calls.append(len(pairs)) or ["wrong"] * len(pairs)
    assert [g.reward for g in verify_all(task, problems, ["\\boxed{x}", "\\boxed{y^2}"])] == [0.0, 0.0]
    assert calls == [2]
