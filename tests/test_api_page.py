"""docs/api.md works as shown."""

import doctest
import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "api.md"


def test_every_example_runs_as_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.ELLIPSIS, encoding="utf-8")
    assert found.attempted > 15
    assert found.failed == 0


def test_the_page_names_the_whole_api():
    import vapo_core

    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in vapo_core.__all__ if not re.search(rf"`{name}\b", text)] == []
