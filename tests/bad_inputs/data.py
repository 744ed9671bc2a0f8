"""Problems and answers of one's own, as they should not be, beside a checkpoint with nothing the matter."""

import json
from pathlib import Path

from tests.bad_inputs.checkpoints import whole
from tests.bad_inputs.scene import Scene

ROW = '{"problem": "1 + 1 =", "answer": "2"}\n'


def _data(content: str | bytes) -> Scene:
    """A whole checkpoint, and data.jsonl with that content."""

    def scene(folder: Path, records: Path) -> None:
        whole(folder, records)
        (folder / "data.jsonl").write_bytes(content if isinstance(content, bytes) else content.encode())

    return scene


ROWS = "".join(json.dumps({"problem": f"1 + {n} =", "answer": str(1 + n)}) + "\n" for n in range(20))


def _run_of(template: str) -> Scene:
    """A run that was begun, a link to it, and the data and the checkpoint that it started from."""

    def scene(folder: Path, records: Path) -> None:
        from experiments.specs.spec import TaskSpec
        from tests.support.worlds import small_spec
        from vapo_core.settings import Base

        _asked_by(template)(folder, records)
        made = small_spec("lm", base=Base(model=str(folder / "checkpoint")))
        task = TaskSpec(name="jsonl", dials={"path": str(folder / "data.jsonl"), "max_tokens": 8})
        spec = type(made)(**{**made.model_dump(), "task": task})
        run = folder / "runs" / spec.hash
        run.mkdir(parents=True)
        (run / "spec.json").write_text(spec.model_dump_json())
        (folder / "run").symlink_to(run)

    return scene


def _asked_by(template: str) -> Scene:
    """Good data, and a checkpoint with that chat template."""

    def scene(folder: Path, records: Path) -> None:
        _data(ROWS)(folder, records)
        (folder / "checkpoint" / "chat_template.jinja").write_text(template)

    return scene


EMPTY_TEMPLATES: dict[str, str] = {
    "template-empty": "",
    "template-comment": "{# nothing #}",
    "template-never": "{% if false %}{{ messages[0].content }}{% endif %}",
    "template-no-message": "{% for m in messages if m.role == 'nobody' %}{{ m.content }}{% endfor %}",
    "template-blanked": "{{ messages[0].content and '' }}",
}
"""Chat templates that render every message to nothing."""

SCENES: dict[str, Scene] = {
    "data-good": _data(ROW * 20),
    "data-empty": _data(""),
    "data-one": _data(ROW),
    "data-null": _data("null\n" * 3),
    "data-number": _data("3\n" * 3),
    "data-list": _data("[1, 2]\n" * 3),
    "data-deep": _data("[" * 100_000 + "\n"),
    "data-object-deep": _data('{"problem": ' + "[" * 100_000 + "\n"),
    "data-binary": _data(bytes(range(256))),
    "data-latin1": _data('{"problem": "ö", "answer": "2"}\n'.encode("latin-1") * 3),
    "data-zero": _data(ROW + "\0\0\n" + ROW),
    "data-words": _data("no json\n" * 3),
    "data-blank-lines": _data("\n\n\n"),
    "data-no-answer": _data('{"problem": "1 + 1 ="}\n' * 3),
    "data-answer-null": _data('{"problem": "1 + 1 =", "answer": null}\n' * 3),
    "data-answer-blank": _data('{"problem": "1 + 1 =", "answer": " "}\n' * 3),
    "data-prompt-empty": _data('{"problem": "", "answer": "2"}\n' * 3),
    "data-prompt-space": _data('{"problem": "   ", "answer": "2"}\n' * 3),
    "data-prompt-newlines": _data('{"problem": "\\n\\t\\n", "answer": "2"}\n' * 3),
    "data-prompt-wide-space": _data('{"problem": "\\u00a0\\u3000", "answer": "2"}\n' * 3),
    "data-prompt-null": _data('{"problem": null, "answer": "2"}\n' * 3),
    "data-prompt-number": _data('{"problem": {"a": 1}, "answer": "2"}\n' * 3),
    "data-cut": _data(ROW + ROW[:20]),
    "data-array-file": _data("[" + ROW.strip() + "]"),
    **{f"data-{name}": _asked_by(template) for name, template in EMPTY_TEMPLATES.items()},
    "run-template-blanked": _run_of(EMPTY_TEMPLATES["template-blanked"]),
    "run-template-comment": _run_of(EMPTY_TEMPLATES["template-comment"]),
}
