"""The card beside a trained checkpoint: what the hub reads of it, and what a person finds in it."""

import json

import pytest
from huggingface_hub import ModelCard

from experiments.runs.model_card import card
from experiments.runs.run import run_one
from experiments.specs.spec import spec_for
from tests.support.worlds import small_spec
from vapo_core.settings import Base, Lora

ROW = {
    "arm": "vapo without clip_higher", "metric": "val/pass_at_1", "first": 0.25, "last": 0.5, "auc": 0.4, "state": "finished",
    "reason": "", "mean_length": 12.0, "tokens": 1000.0, "git_commit": "abc1234",
}  # fmt: skip


@pytest.fixture(scope="module")
def home(cache, tmp_path_factory):
    """A finished run of two steps."""
    spec = small_spec("lm", steps=2)
    runs = tmp_path_factory.mktemp("runs")
    (runs / "bases").symlink_to(cache / "bases") if (cache / "bases").exists() else None
    run_one(spec, runs, "train")
    return runs / spec.hash


def test_a_finished_run_has_cards_that_the_hub_reads(home):
    """Valid front matter, one evaluation result with its seed, and no base_model, since the base is on no hub."""
    row = json.loads((home / "row.json").read_text())
    policy = ModelCard.load(home / "checkpoint" / "policy" / "README.md")
    (result,) = policy.data.eval_results
    assert result.metric_value == pytest.approx(row["last"])
    assert result.metric_name.endswith("seed 0")
    assert policy.data.pipeline_tag == "text-generation"
    assert policy.data.base_model is None
    assert row["spec"] in policy.text
    critic = ModelCard.load(home / "checkpoint" / "critic" / "README.md")
    assert critic.data.pipeline_tag == "token-classification"


def test_a_card_names_what_differs_and_no_folder_of_this_machine():
    base = Base(model="someone/some-model", dtype="bfloat16", lora=Lora(on=True, rank=8))
    spec = spec_for("vapo", "lm", 3, base=base)
    text = card("policy", spec, ROW)
    assert ModelCard(text).data.base_model == "someone/some-model"
    for line in (
        "| settings.policy_lr | 0.0004 |",
        "| base.lora.rank | 8 |",
        "| clip_higher | on |",
        f"| spec | {spec.hash} |",
    ):
        assert line in text
    local = card("policy", spec_for("vapo", "lm", 3, base=Base(model="/home/me/secret/model")), ROW)
    assert "secret" not in local
    assert "a local folder, model" in local
    assert ModelCard(local).data.base_model is None


def test_a_diverged_run_says_so():
    text = card("critic", spec_for("vapo", "lm", 3), {**ROW, "state": "diverged", "reason": "loss | not\nfinite"})
    assert "| state | diverged |" in text
    assert "| reason | loss \\| not finite |" in text
