"""The page of a trace: hostile text harmless, colours as the numbers say, nothing loaded, readable without its script."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from analysis.report.trace_page import (
    MOST_RESPONSES,
    Scale,
    columns_of,
    plain,
    render,
    scale_of,
    strength,
    visible,
)

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "</script><b>",
    "\u202ea\n",
    " ",
    "{{ 7 * 7 }}",
]
"""Tokens of the first response."""


class Page(HTMLParser):
    """Tags with attributes, and text by the class of the innermost tag; tags must be balanced."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[tuple[str, dict[str, str | None], str]] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "input"):
            self.open.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        if self.open:
            self.text.append((*self.open[-1], data))

    def tokens(self) -> list[tuple[dict[str, str | None], str]]:
        return [(a, data) for tag, a, data in self.text if tag == "span" and a.get("class", "").startswith("t ")]


def table(responses: int = 2) -> pd.DataFrame:
    """Six tokens in three steps per response; even ones are wrong, odd ones right."""
    rows = []
    for number in range(responses):
        for i, text in enumerate(HOSTILE):
            advantage = (-0.5, 0.0, 0.25, 0.5, -0.25, 2.0)[i]
            rows.append(
                {"response": number, "problem": number // 2, "prompt": "<i>ask</i>", "reward": float(number % 2),
                 "correct": number % 2 == 1, "truncated": number == 0, "length": 6, "position": i,
                 "text": text if number == 0 else "ab"[i % 2], "state": "<u>", "step": i // 2, "logp": -0.1 * i,
                 "entropy": 0.2 * i, "value": 0.1 * i - 0.1, "truth": np.nan if i == 2 else 0.6, "truth_se": 0.0,
                 "td_error": 0.1, "true_td_error": np.nan if i == 2 else -0.1, "advantage_own": advantage,
                 "advantage_adaptive": advantage, "advantage_0": 0.1, "advantage_0.95": advantage, "advantage_1": 0.3}
            )  # fmt: skip
    return pd.DataFrame(rows)


FACTS = [("Run", "<b>bold</b>")]


def data_of(text: str) -> dict:
    """The numbers the page carries."""
    (found,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(found)


def test_hostile_text_stays_text():
    """No tag, attribute, script or template comes from tokens, prompts, states or facts."""
    text = render(table(), FACTS)
    page = Page(text)
    shown = [data for _, data in page.tokens()]
    assert shown[6:] == [HOSTILE[0], HOSTILE[1].replace(" ", "␣"), HOSTILE[2], "\\u202ea⏎", "␣", "{{␣7␣*␣7␣}}"]
    assert [tag for tag, _ in page.found].count("script") == 2
    assert not {"img", "b", "i", "u"} & {tag for tag, _ in page.found}
    assert not any(name.startswith("on") for _, attributes in page.found for name in attributes)
    assert "<script>alert" not in text
    assert "\u202e" not in text
    assert data_of(text)["states"][0] == "<u>"


def test_nothing_is_loaded_from_elsewhere():
    text = render(table(), FACTS)
    for _, attributes in Page(text).found:
        assert not {"src", "href", "srcset"} & set(attributes)
    assert "default-src 'none'" in text
    assert not re.search(r"https?:|url\(|@import|innerHTML|eval\(", text)


def test_without_a_script_colours_are_those_of_the_recipes_advantage():
    """Sign gives the hue, size over the 98 % quantile (here the largest, 2) the strength."""
    tokens = Page(render(table(), FACTS)).tokens()[6:]
    assert [a["class"] for a, _ in tokens] == ["t neg", "t pos", "t pos", "t pos", "t neg", "t pos"]
    found = [float(a["style"].removeprefix("--a:")) for a, _ in tokens]
    assert found == pytest.approx([0.25, 0, 0.125, 0.25, 0.125, 1], abs=0.006)


def test_right_and_wrong_stand_apart_and_steps_are_boxes():
    text = render(table(5), FACTS)
    right, wrong = (text.split(f'<section id="{key}">')[1].split("</section>")[0] for key in ("right", "wrong"))
    assert ("<h2>Right: 2</h2>" in right, "<h2>Wrong: 3</h2>" in wrong) == (True, True)
    assert right.count('class="step"') == 2 * 3
    assert wrong.count(", cut off") == 1
    rows = [int(a["data-i"]) for a, _ in Page(text).tokens()]
    assert sorted(rows) == list(range(30))
    assert rows[:6] == list(range(6, 12))


def test_numbers_of_every_token_and_unknown_ones_are_null():
    data = data_of(render(table(), FACTS))
    by_name = {column["name"]: column for column in data["columns"]}
    assert by_name["truth"]["values"][:3] == [0.6, 0.6, None]
    assert by_name["logp"]["values"][5] == -0.5
    assert {len(column["values"]) for column in data["columns"]} == {12}
    assert data["common"] == max(column["full"] for column in data["columns"] if column["scale"] == "signed")


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("advantage_own", [-2.0, 1.0], Scale(0.0, 1.98)),
        ("td_error", [0.0, 0.0], Scale(0.0, 1.0)),
        ("logp", [-2.0, -2.0], Scale(0.0, -2.0)),
        ("entropy", [0.5, 0.5], Scale(0.0, 0.5)),
        ("value", [0.2, 0.4], Scale(0.2, 0.6)),
        ("truth", [0.6, np.nan], Scale(-0.1, 0.6)),
        ("truth_se", [np.nan, np.nan], Scale(0.0, 1.0)),
    ],
)
def test_scales(name, values, expected):
    """Signed and sized columns start at 0, values and truth share one range; a column without spread still has a scale."""
    data = table(1).iloc[:2].copy()
    data[name] = values
    column = next(c for c in columns_of(data) if c.name == name)
    assert scale_of(data, column) == pytest.approx(expected)


def test_strength_is_cut_to_one():
    assert [strength(x, Scale(0.0, 2.0)) for x in (-9, -1, 0, 1, 9)] == [-1, -0.5, 0, 0.5, 1]
    assert strength(-0.5, Scale(0.0, -2.0)) == 0.25


def test_invisible_characters_are_shown():
    assert plain("a b\n\u200b\x00") == "a b\n\\u200b\\u0000"
    assert visible("") == "∅"


def test_a_long_table_is_cut_and_says_so():
    text = render(table(MOST_RESPONSES + 3), FACTS)
    assert "3 more responses are in the table" in text
    assert text.count("<article>") == MOST_RESPONSES


def test_every_number_of_a_trace_can_be_seen():
    """The columns of the page are those the trainer's side writes."""
    from vapo_core.training.trace import LAMBDA_RULES

    names = {column.name for column in columns_of(table())}
    assert {f"advantage_{rule}" for rule in ("own", *LAMBDA_RULES)} <= names
    assert len(names) == 12
