"""Preset real: arms and what compares them agree, rows are of level real_lm and never primary, a target moves all of them."""

import json

import numpy as np
import pytest
from pydantic import ValidationError

from analysis.hypotheses import real_level
from analysis.tables.rows import having
from analysis.tables.schema import COMPONENTS, load
from analysis.verdict.questions import BASES_HERE, level_of
from experiments.runs.collect import collect
from experiments.runs.run import describe, run_one
from experiments.specs.spec import RunSpec
from experiments.studies import STEMS, core, find
from experiments.studies.h7_credit_assignment.real_runs import STEP_LAMBDA
from experiments.studies.real import Target, flags, on
from experiments.studies.study import StudyConfig, run_study
from tests.calibration.planting import frame_of, tables
from tests.support.checkpoints import causal
from vapo_core.probes import METRICS as PROBED
from vapo_core.settings import BASE_SIZES, Evaluation
from vapo_core.tasks import TASKS
from vapo_core.training import metrics

ALL = {stem: find(stem).specs("real") for stem in STEMS}


@pytest.mark.parametrize("stem", STEMS)
def test_every_run_is_of_a_checkpoint_and_paired(stem):
    specs = ALL[stem]
    assert len({spec.hash for spec in specs}) == len(specs)
    assert {spec.seed for spec in specs} == set(core.SEEDS["lm"]["real"])
    per_seed = [
        {(s.arm, s.settings.alpha, s.settings.fixed_lambda) for s in specs if s.seed == seed} for seed in range(5)
    ]
    assert all(arms == per_seed[0] for arms in per_seed)
    for spec in specs:
        assert spec.base == core.MODEL
        assert spec.task.name == "gsm8k"
        assert (spec.settings.policy_lr, spec.settings.critic_lr, spec.settings.group_size) == (1e-6, 2e-6, 16)
        assert level_of(describe(spec, stem)["world"], describe(spec, stem)["base"]) == "real_lm"


def test_full_vapo_is_one_run_for_all_studies_that_use_it():
    full = [
        {s.hash for s in specs if s.arm == "vapo" and s.settings.alpha == 0.05 and s.seed == 0}
        for specs in ALL.values()
    ]
    assert len(set.union(*full)) == 1


@pytest.mark.parametrize("stem", STEMS)
def test_contrasts_find_their_arms_and_leave_none_unread(stem):
    """Each on five seeds, by the columns that runs are described with; baselines of the table are read by name."""
    given, questions = tables(frame_of(ALL[stem])), find(stem).QUESTIONS
    read: set[str] = set()
    mine = [contrast for contrast in real_level.CONTRASTS if contrast.question in questions]
    assert mine
    for contrast in mine:
        for _, wanted in contrast.arms:
            arm = having(given.runs, wanted)
            assert len(arm) == 5
            read |= set(arm["spec"])
    unread = {spec.recipe for spec in ALL[stem] if spec.hash not in read}
    assert unread <= (set(core.BASELINES) if stem == "components" else set())


def test_metrics_that_contrasts_read_are_logged():
    names = {"actor/ppo_kl", "actor/entropy", "reward/accuracy", "val/pass_at_1"}
    assert names <= set(metrics.METRICS)
    assert {"value_error/fvu_held_out", "value_error/fvu_train"} <= set(PROBED)


def planted(stem: str) -> list:
    """The study's rows, whose area is 0.5 less 0.1 for every component that is off."""
    runs = frame_of(ALL[stem])
    off = 7 - runs[list(COMPONENTS)].astype(bool).sum(axis=1)
    noise = np.random.default_rng(0).normal(0, 0.001, len(runs))
    given = tables(runs, {"auc": (0.5 - 0.1 * off + noise).to_numpy()})
    return real_level.score(given, find(stem).QUESTIONS, "real")


def test_rows_are_secondary_signed_and_without_a_decision():
    rows = planted("components")
    assert [row.question for row in rows] == list(COMPONENTS)
    assert all((row.level, row.primary, row.decision, row.seeds) == ("real_lm", False, None, 5) for row in rows)
    assert [row.effect for row in rows] == pytest.approx([0.1] * 7, abs=0.003)
    (interaction,) = planted("h6_interactions")
    assert interaction.effect == pytest.approx(0.0, abs=0.003)


def test_rows_of_models_made_here_are_no_evidence_of_this_level():
    given = tables(frame_of(find("components").specs("smoke")))
    assert real_level.score(given, find("components").QUESTIONS, "real") == []
    assert set(BASE_SIZES) <= set(BASES_HERE)
    assert level_of("lm", "small:2") == "tiny_lm"
    assert level_of("walk", "tiny:0") == "walk"
    assert level_of("lm", "/models/qwen:v2:0") == "real_lm"


def test_a_study_without_seeds_has_a_picture_only_of_what_there_is():
    assert (
        real_level.figures(
            tables(frame_of(find("h3_token_level_loss").specs("smoke"))), find("h3_token_level_loss").QUESTIONS
        )
        == {}
    )
    drawn = real_level.figures(tables(frame_of(ALL["components"])), find("components").QUESTIONS)
    assert len(drawn["real"].data) == 7


def test_a_target_moves_every_run():
    target = Target(model="/models/mine", task="math", dials={"max_tokens": "100", "path": "data"}, seeds=2, steps=7)
    moved = on(target, ALL["h1_value_fidelity"])
    assert len(moved) == 6
    for spec in moved:
        assert (spec.base.model, spec.base.dtype, spec.steps) == ("/models/mine", "bfloat16", 7)
        assert (spec.task.name, spec.task.dials) == ("math", {"max_tokens": 100, "path": "data"})
        assert set(spec.probes.values()) <= {7}
    same = on(Target(seeds=5), ALL["h1_value_fidelity"])
    assert [spec.hash for spec in same] == [spec.hash for spec in ALL["h1_value_fidelity"]]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "tiny"}, "model = 'tiny': preset real takes a checkpoint"),
        ({"task": "gsm8"}, "no task 'gsm8'"),
        ({"dials": {"max_tokens": "many"}}, "max_tokens"),
        ({"seeds": 6}, "seeds"),
    ],
)
def test_impossible_targets_are_refused(given, message):
    with pytest.raises((ValueError, ValidationError), match=message):
        on(Target(**given), ALL["h3_token_level_loss"])


def test_alpha_is_the_papers_since_answers_are_long():
    """A horizon of alpha x length: 10 to 50 tokens at 200 to 1,000."""
    numbers = core.numbers("lm", "real", {})
    assert numbers.alpha == 0.05
    assert TASKS["gsm8k"].dials().max_tokens * numbers.alpha > 20
    assert numbers.pool_size <= 7473  # as many as GSM8K has
    assert pytest.approx(0.358, abs=0.001) == STEP_LAMBDA


def test_a_small_checkpoint_runs_and_is_judged(tmp_path, monkeypatch):
    """Two arms on problems of one's own, from specs to rows: one seed has an estimate and no bounds."""
    datasets = pytest.importorskip("datasets", reason="the extra `real` is not installed")
    pytest.importorskip("math_verify", reason="the extra `real` is not installed")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    rows = [{"problem": f"What is {i} plus {i}?", "answer": str(2 * i)} for i in range(60)]
    (tmp_path / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    target = Target(
        model=causal(tmp_path / "model"), task="jsonl", seeds=1, steps=2,
        dials={"path": str(tmp_path / "mine.jsonl"), "max_tokens": "12"},
    )  # fmt: skip
    small = core.numbers("lm", "real", {"responses_per_step": 16, "group_size": 4, "warmup_steps": 1, "pool_size": 16})
    fields = {"settings": small, "evaluation": Evaluation(every=2, problems=8, k=2, k_problems=2), "probes": {}}
    chosen = [RunSpec(**{**spec.model_dump(), **fields}) for spec in on(target, ALL["h3_token_level_loss"])]
    for spec in chosen:
        run_one(spec, tmp_path / "runs", "h3")
    assert collect(chosen, tmp_path / "runs", tmp_path / "out") == 2
    found = real_level.score(load(tmp_path / "out"), find("h3_token_level_loss").QUESTIONS, "real")
    assert [(row.question, row.level, row.seeds) for row in found] == [("h3b", "real_lm", 1), ("h3c", "real_lm", 1)]
    assert np.isfinite(found[1].effect)
    assert np.isnan(found[1].low)


def test_the_command_shows_runs_cost_and_memory(tmp_path, capsys):
    options = {"preset": "real", "runs": tmp_path, "results": tmp_path, "dry_run": True}
    assert run_study("h3_token_level_loss", StudyConfig(**options, model="Qwen/Qwen2.5-7B", task="math", seeds=2)) == 0
    said = capsys.readouterr().out
    assert "4 runs (4 lm)" in said
    assert "estimate for one H100-class GPU: 404 GB (training 274" in said
    assert run_study("h3_token_level_loss", StudyConfig(**options, model=causal(tmp_path / "small"))) == 0
    assert "estimate for one H100-class GPU: 0 GB" in capsys.readouterr().out
    assert run_study("h3_token_level_loss", StudyConfig(**options, model="somebody/else")) == 0
    assert "for a model of 0.5B parameters, since the size of somebody/else is unknown" in capsys.readouterr().out


def test_a_target_belongs_to_the_preset():
    with pytest.raises(ValueError, match="steps = 7: this option applies to preset real only, not to quick"):
        StudyConfig(steps=7)
    assert flags(StudyConfig(preset="real", task="math", dials={"path": "data"})) == [
        "--task", "math", "--dials", "path", "data",
    ]  # fmt: skip


def test_a_checkpoint_has_settings_of_its_own_in_train_and_ablate():
    """`--model` is `--base.model`; what is given besides still counts."""
    from experiments.commands import ablate, train
    from experiments.specs.engines import spelled_out

    words = spelled_out(["--model", "Qwen/Qwen2.5-0.5B", "--task", "gsm8k", "--settings.alpha", "0.4"])
    _, spec = train.configure(words, {})
    assert spec.settings == core.numbers("lm", "real", {"alpha": 0.4})
    assert spec.evaluation == core.EVALUATION["real"]
    config, _ = ablate.configure([*words, "--world", "lm"], {"base": {"dtype": "bfloat16"}})
    assert (config.settings, config.base) == (spec.settings, core.MODEL)
    _, small = train.configure([], {})
    assert small.settings.policy_lr == 4e-4
    assert spelled_out(["--model=x", "--model-card"]) == ["--base.model=x", "--model-card"]
