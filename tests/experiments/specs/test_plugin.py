"""Plugins: a researcher's own variants, tasks and probes from one file, in every process that computes a run, and in its name."""

import json
import shutil

import pytest
import torch

from experiments.ablations.ablate import ablation_folder, plan
from experiments.cli import main
from experiments.commands import ablate, evaluate, sweep, train
from experiments.launchers.launch import local_map
from experiments.launchers.ray.node import run_here
from experiments.runs.inventory import find, listing
from experiments.runs.run import build_trainer, run_one
from experiments.specs import plugin
from experiments.specs.exact import read_spec
from experiments.specs.plugin import identity, install, installed, read
from experiments.specs.same_code import fingerprint
from experiments.specs.spec import RunSpec
from experiments.sweeps.sweep import studies_of, sweep_folder
from tests.support.worlds import small_spec
from vapo_core import settings
from vapo_core.probes import PROBES
from vapo_core.recipe import VARIANTS, assemble
from vapo_core.tasks import TASKS

RULES = """
from vapo_core import FunctionTask, Problem

def quarter(settings):
    return lambda lengths: (1 - 4 / lengths).clamp(0.0, 1.0)

def sample(rng, n, split):
    return [Problem(f"{d}=", str(d)) for d in rng.integers(10, 99, n)]

TASKS = {"echo": FunctionTask(sample, lambda p, r: float(p.answer == r), lambda p, rng: p.answer, "0123456789=", 3)}
VARIANTS = {"length_adaptive_gae": {"quarter": quarter}, "whiten": {"mine": lambda settings: lambda x, mask: x}}
PROBES = {"length": lambda view: len(view.pool), "two": lambda view: {"one": 1, "two": 2.0}}
"""
TINY = ["--steps", "1", "--size", "8", "--horizon", "12", "--settings.responses-per-step", "32",
        "--settings.group-size", "4", "--settings.pool-size", "16", "--settings.warmup-steps", "2",
        "--evaluation.problems", "16"]  # fmt: skip


@pytest.fixture(autouse=True)
def none_left():
    yield
    install(None)


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.py"
    path.write_text(RULES)
    return str(path)


def small(**fields) -> RunSpec:
    return small_spec(steps=1, plugin=identity(), **fields)


# --- what it adds, and takes away again ---


def test_it_adds_variants_tasks_and_probes_until_another_takes_its_place(rules):
    before = [{slot: dict(inner) for slot, inner in VARIANTS.items()}, dict(TASKS), dict(PROBES), list(settings.PROBES)]
    install(read(rules))
    assert {"quarter"} <= set(VARIANTS["length_adaptive_gae"])
    assert TASKS["echo"].world == "lm"
    assert {"length", "two"} <= set(PROBES) & set(settings.PROBES)
    install(None)
    assert installed() is None
    assert before == [VARIANTS, TASKS, PROBES, settings.PROBES]


def test_its_rule_is_what_the_recipe_calls(rules):
    install(read(rules))
    chosen = assemble(settings.Toggles(), settings.Settings(), {"length_adaptive_gae": "quarter"})
    assert chosen.length_adaptive_gae(torch.tensor([2, 8, 40])).tolist() == pytest.approx([0.0, 0.5, 0.9])


def test_its_numbers_become_metrics(rules):
    install(read(rules))
    assert PROBES["length"](type("View", (), {"pool": [0] * 7})).metrics == {"length": 7.0}
    assert PROBES["two"](None).metrics == {"two/one": 1.0, "two/two": 2.0}


def test_a_name_takes_that_alone(rules):
    install(read(f"{rules}:echo"))
    assert "echo" in TASKS
    assert "quarter" not in VARIANTS["length_adaptive_gae"]
    assert plugin.path() == f"{rules}:echo"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 1", "defines nothing; expected VARIANTS, TASKS, PROBES"),
        ("1 / 0", r"failed \(division by zero\)"),
        ("def", "failed"),
        ("VARIANTS = {'nosuch': {'a': len}}", "no slot 'nosuch'"),
        ("VARIANTS = {'whiten': len}", "VARIANTS is not a dictionary of dictionaries"),
        ("VARIANTS = {'whiten': {'none': len}}", "'none' is already one of ours; rename it"),
        ("VARIANTS = {'whiten': {'on': len}}", "'on' already means something"),
        ("VARIANTS = {'whiten': {'a': 3}}", "a is not a function"),
        ("VARIANTS = {'whiten': {'a b': len}}", "'a b' is no name"),
        ("TASKS = {'mine': 3}", "mine has no 'sample'"),
        ("TASKS = {'chain': 3}", "chain has no 'sample'"),
        ("PROBES = {'credit': len}", "'credit' is already one of ours"),
        ("PROBES = [len]", "PROBES is not a dictionary"),
        ("import beside\nPROBES = {'a': len}", "imports beside.py beside it; a plugin is one file"),
    ],
)
def test_what_cannot_be_used_is_said_and_leaves_nothing(text, expected, tmp_path, monkeypatch):
    (tmp_path / "bad.py").write_text(text)
    (tmp_path / "beside.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    before = [dict(VARIANTS["whiten"]), dict(TASKS), list(settings.PROBES)]
    with pytest.raises(ValueError, match=f"plugin .*bad.py.*{expected}"):
        install(read(str(tmp_path / "bad.py")))
    assert before == [VARIANTS["whiten"], TASKS, settings.PROBES]
    assert installed() is None


def test_a_probe_that_returns_no_number_is_named(tmp_path):
    (tmp_path / "p.py").write_text("PROBES = {'a': lambda view: 'much'}")
    install(read(str(tmp_path / "p.py")))
    with pytest.raises(ValueError, match="probe a returned 'much'; allowed are numbers"):
        PROBES["a"](None)


# --- what a run is called ---


def test_no_plugin_moves_no_hash(rules):
    before = small_spec().hash
    install(read(rules))
    assert small_spec().hash == before
    assert small().hash != before


def test_the_name_follows_the_content_not_the_place(rules, tmp_path):
    install(read(rules))
    first = small().hash
    (tmp_path / "moved.py").write_text(RULES)
    install(read(str(tmp_path / "moved.py")))
    assert small().hash == first
    (tmp_path / "moved.py").write_text(RULES.replace("4 / lengths", "8 / lengths"))
    install(read(str(tmp_path / "moved.py")))
    assert small().hash != first


def test_an_ablation_has_the_rule_as_an_arm_and_a_folder_of_its_own(rules, tmp_path):
    words = ["--vary", "length_adaptive_gae", "on", "off", "quarter", "--seeds", "2", *TINY]
    config, dials = ablate.configure(["--plugin", rules, *words], {})
    planned = plan(config, dials)
    assert planned.arms == ("vapo", "vapo without length_adaptive_gae", "vapo length_adaptive_gae=quarter")
    assert {spec.plugin for spec in planned.specs} == {identity()}
    assert [spec.variants for spec in planned.specs if planned.label(spec) == planned.arms[2]] == [
        {"length_adaptive_gae": "quarter"}
    ] * 2
    with_it = ablation_folder(config, dials)
    (tmp_path / "rules.py").write_text(RULES + "\n")
    assert ablation_folder(*ablate.configure(["--plugin", rules, *words], {})) != with_it


def test_a_sweep_takes_a_variant_and_its_control_does_without(rules, tmp_path):
    words = ["alpha", "--plugin", rules, "--variants", "length_adaptive_gae", "quarter", "--preset", "smoke"]
    config, dials = sweep.configure(words, {})
    main_search, control = studies_of(config, dials)
    assert main_search.template.variants == {"length_adaptive_gae": "quarter"}
    assert control.template.variants == {}
    assert main_search.template.plugin == control.template.plugin == identity() != ""
    assert sweep_folder(config, dials) != sweep_folder(*sweep.configure(["alpha", "--preset", "smoke"], {}))


def test_an_options_file_does_not_run_code(rules, tmp_path, capsys):
    (tmp_path / "run.yaml").write_text(f"plugin: {rules}\n")
    assert main(["train", "--dry-run", "--config", str(tmp_path / "run.yaml")]) == 2
    assert "a plugin is code, so --config does not load it; add --plugin FILE" in capsys.readouterr().err
    assert main(["train", "--dry-run", "--config", str(tmp_path / "run.yaml"), "--plugin", rules]) == 0


def test_its_task_brings_its_world(rules):
    config, spec = train.configure(["--plugin", rules, "--task", "echo"], {})
    assert (config.world, spec.task.name, spec.plugin) == ("lm", "echo", identity())


# --- who computes it ---


@pytest.fixture
def computed(rules, tmp_path):
    """A run with the plugin's rule and probe."""
    install(read(rules))
    spec = small(variants={"length_adaptive_gae": "quarter"}, probes={"length": 1})
    return spec, run_one(spec, tmp_path / "runs", "study"), tmp_path / "runs"


def test_a_run_keeps_a_copy_and_says_its_hash(computed):
    spec, row, runs = computed
    assert (runs / spec.hash / "plugin.py").read_text() == RULES
    assert row["plugin"] == spec.plugin == identity()
    assert '"length": 16.0' in (runs / spec.hash / "metrics.jsonl").read_text()


def test_without_the_plugin_its_runs_are_listed_and_not_built(computed, rules, tmp_path):
    spec, _, runs = computed
    install(None)
    (entry,) = listing(runs)
    assert (entry.spec.hash, entry.state) == (spec.hash, "finished")
    with pytest.raises(ValueError, match=f"plugin: needed for run {spec.hash} .*; give that file with --plugin"):
        build_trainer(find(runs, spec.hash[:6]).trained, runs)
    (tmp_path / "rules.py").write_text(RULES + "\n")
    install(read(rules))
    with pytest.raises(ValueError, match=r"rules\.py: other content"):
        build_trainer(find(runs, spec.hash[:6]).trained, runs)
    install(None)
    with pytest.raises(ValueError, match="no variant 'quarter'"):
        assemble(spec.toggles, spec.settings, spec.variants)


def test_a_copy_in_a_runs_folder_is_never_run_by_itself(computed):
    """Nothing is imported but what the command line names."""
    spec, _, runs = computed
    (runs / spec.hash / "plugin.py").write_text("raise SystemExit(99)")
    install(None)
    read_spec((runs / spec.hash / "spec.json").read_text())
    assert find(runs, spec.hash).spec.hash == spec.hash


def test_trace_asks_for_it_and_takes_it(computed, rules, capsys):
    spec, _, runs = computed
    words = ["trace", spec.hash, "--runs", str(runs), "--problems", "2", "--answers", "2"]
    assert main(words) == 2
    assert "needed for run" in capsys.readouterr().err
    assert main([*words, "--plugin", rules]) == 0


def test_evaluate_asks_for_it(computed, rules):
    """A checkpoint of a run with a plugin; the walk keeps none, so one is put there."""
    spec, _, runs = computed
    checkpoint = runs / spec.hash / "checkpoint" / "policy"
    checkpoint.mkdir(parents=True)
    (checkpoint / "config.json").write_text("{}")
    content = json.loads((runs / spec.hash / "spec.json").read_text())
    content |= {"world": "lm", "task": {"name": "echo"}, "variants": {}, "probes": {}}
    (runs / spec.hash / "spec.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="needed for run"):
        evaluate.configure([str(checkpoint)])
    assert evaluate.configure([str(checkpoint), "--plugin", rules]).task == "echo"


def test_a_node_of_a_cluster_is_handed_the_file(computed, monkeypatch, tmp_path):
    spec, row, _ = computed
    given = installed()
    install(None)
    monkeypatch.setenv("VAPO_NODE_CACHE", str(tmp_path / "node"))
    answer, *files = run_here(spec.model_dump_json(), "study", None, fingerprint(), given)
    assert answer.row["auc"] == row["auc"]
    assert "plugin.py" in {piece.name for piece in files}


@pytest.mark.slow
def test_a_worker_process_is_handed_the_file(computed):
    spec, row, runs = computed
    shutil.rmtree(runs / spec.hash)
    rows = []
    assert local_map([spec], runs, "study", 1, None, lambda _, row: rows.append(row)) == []
    assert rows[0]["auc"] == row["auc"]


def test_a_spec_with_the_task_of_an_absent_plugin_is_read_and_keeps_its_name(rules):
    """`vapo ls`, `show` and `collect` see runs whose plugin nobody named."""
    install(read(rules))
    _, spec = train.configure(["--plugin", rules, "--task", "echo", "--probes", "length", "3"], {})
    install(None)
    assert read_spec(spec.model_dump_json()).hash == spec.hash
    with pytest.raises(ValueError, match="no task 'echo'"):
        read_spec(json.dumps({**json.loads(spec.model_dump_json()), "plugin": ""}))
