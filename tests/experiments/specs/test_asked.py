"""Flags that mean the same in every command, and shortcuts."""

import pytest

from experiments.ablations.ablate import plan
from experiments.cli import main
from experiments.commands import ablate, evaluate, sweep, train

PLAIN = {"value_error": 30, "gradient_variance": 30, "exploration": 30}


@pytest.mark.parametrize(
    ("words", "over", "probes"),
    [
        ([], {}, PLAIN),
        (["--probes", "credit", "10", "ranking", "5"], {}, {"credit": 10, "ranking": 5}),
        (["--probes=credit", "10"], {}, {"credit": 10}),
        (["--probes.credit", "10"], {}, {**PLAIN, "credit": 10}),
        (["--probes.value-error=10"], {}, {**PLAIN, "value_error": 10}),
        (["--probes", "--seeds", "3"], {}, {}),
        (["--probes", "credit", "3", "--probes.ranking", "4"], {}, {"credit": 3, "ranking": 4}),
        ([], {"probes": {"credit": 3}}, {"credit": 3}),
        (["--probes.ranking", "4"], {"probes": {"credit": 3}}, {"credit": 3, "ranking": 4}),
        (["--probes", "ranking", "4"], {"probes": {"credit": 3}}, {"ranking": 4}),
    ],
)
def test_both_spellings_of_probes_in_both_commands(words, over, probes):
    assert ablate.configure(words, over)[0].probes == probes
    if "--seeds" in words:
        return
    own = {"value_error": 10} if words and "value-error" in words[0] else {}  # train has no preset beneath
    mine = {name: every for name, every in probes.items() if name not in PLAIN} | own
    assert train.configure(words, over)[1].probes == mine


@pytest.mark.parametrize("spelled", [["--variants", "whiten", "none"], ["--variants.whiten", "none"]])
def test_both_spellings_of_variants_beside_the_recipes_own(spelled):
    assert train.configure(["--recipe", "vineppo", *spelled], {})[1].variants == {
        "credit": "vine", "values": "monte_carlo", "whiten": "none",
    }  # fmt: skip
    assert sweep.configure(["alpha", *spelled], {})[0].variants == {"whiten": "none"}


def test_help_shows_one_spelling(capsys):
    for command in ("train", "ablate"):
        with pytest.raises(SystemExit):
            {"train": train, "ablate": ablate}[command].configure(["--help"], {})
        shown = capsys.readouterr().out
        assert "--probes [STR INT" in shown
        assert "--probes.value-error" not in shown


def test_a_dial_goes_by_its_bare_name():
    assert ablate.configure(["--size", "12", "--no-fixed-length"], {})[1] == {"size": 12}
    assert ablate.configure(["--fixed-length", "--trap-prior=-1.5"], {})[1] == {
        "fixed_length": True,
        "trap_prior": -1.5,
    }
    assert train.configure(["--world", "walk", "--size", "12"], {})[1].task.dials == {"size": 12}
    assert sweep.configure(["alpha", "--filler", "3"], {})[1] == {"filler": 3}
    assert evaluate.configure(["nowhere", "--task", "chain", "--noise", "0.25"]).dials.noise == 0.25


def test_an_option_of_the_command_itself_comes_first():
    """jsonl has a dial `path`, evaluate an option `problems`; a dial of that name would need its long form."""
    from experiments.specs.asked import dial_flags
    from vapo_core.settings import Frozen

    class Dials(Frozen):
        seed: int = 0
        size: int = 0

    words = ["--seed", "3", "--size=4", "--no-size", "--other", "size"]
    assert dial_flags(words, train.TrainConfig, Dials) == [
        "--seed",
        "3",
        "--dials.size=4",
        "--dials.no-size",
        "--other",
        "size",
    ]


def test_a_task_brings_its_world():
    assert train.configure(["--task", "walk"], {})[1].world == "walk"
    assert ablate.configure(["--task", "chain"], {})[0].world == "lm"
    assert ablate.configure([], {"task": "chain"})[0].world == "lm"
    assert ablate.configure(["--task", "chain"], {})[0].seeds == 3
    with pytest.raises(ValueError, match="'walk' belongs to world 'walk'"):
        train.configure(["--world", "lm", "--task", "walk"], {})


def test_help_shows_the_dials_of_the_task(capsys):
    with pytest.raises(SystemExit):
        train.configure(["--task", "walk", "--help"], {})
    assert "--dials.hazard" in capsys.readouterr().out


def test_what_is_varied_needs_no_design():
    config, dials = ablate.configure(["--vary", "alpha", "0.1", "0.25"], {})
    assert config.design == "one-at-a-time"
    assert plan(config, dials).arms == ("vapo", "vapo alpha=0.1", "vapo alpha=0.25")
    assert ablate.configure([], {"vary": [["alpha", 0.1]]})[0].design == "one-at-a-time"
    assert ablate.configure([], {})[0].design == "leave-one-out"


def test_a_grid_may_have_one_axis():
    config, dials = ablate.configure(["--design", "grid", "--vary", "alpha", "0.1", "0.25"], {})
    assert plan(config, dials).arms == ("vapo", "vapo alpha=0.1", "vapo alpha=0.25")


def test_slots_vary_with_settings():
    words = [
        "--design",
        "grid",
        "--vary",
        "token_level_loss",
        "on",
        "off",
        "length_normalised",
        "--vary",
        "alpha",
        "0.5",
        "1",
    ]
    planned = plan(*ablate.configure([*words, "--seeds", "1"], {}))
    assert set(planned.arms) == {
        "vapo", "vapo without token_level_loss", "vapo token_level_loss=length_normalised", "vapo alpha=1",
        "vapo without token_level_loss alpha=1", "vapo token_level_loss=length_normalised alpha=1",
    }  # fmt: skip
    assert planned.reference == "vapo"
    found = {
        planned.label(spec): (spec.toggles.token_level_loss, spec.variants, spec.settings.alpha)
        for spec in planned.specs
    }
    assert found["vapo token_level_loss=length_normalised alpha=1"] == (
        True,
        {"token_level_loss": "length_normalised"},
        1.0,
    )
    assert found["vapo without token_level_loss"] == (False, {}, 0.5)


def test_a_slot_that_is_no_component_has_a_default():
    words = ["--vary", "credit", "default", "step_level", "--seeds", "1"]
    assert plan(*ablate.configure(words, {})).arms == ("vapo", "vapo credit=step_level")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--vary", "token_level_loss", "of"], "token_level_loss has no variant 'of'; did you mean 'off'"),
        (["--vary", "token_level_loss"], r"needs at least one value \(allowed: on, off, constant_mean, length_normalised\)"),
        (["--vary", "token_level_los", "on"], "no setting or slot 'token_level_los'; did you mean 'token_level_loss'"),
        (["--design", "leave-one-out", "--vary", "alpha", "1"], "design leave-one-out varies no setting"),
        (["--design", "grid"], "design grid needs something to vary, such as --vary alpha 0.1 0.25"),
        (["--probes", "credit"], "probes: expected NAME EVERY pairs, such as --probes value_error 10"),
        (["--probes", "credit", "1", "credit", "2"], "each once"),
        (["--probes.credit"], "--probes.credit needs a value"),
        (["--probes.credit", "often"], "probes.credit = 'often'"),
        (["--probes", "credit", "1", "--probes", "ranking", "2"], "--probes is given 2 times"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(words, expected, capsys):
    import re

    assert main(["ablate", "--dry-run", *words]) == 2
    assert re.search(expected, capsys.readouterr().err)


def test_a_question_names_its_study(capsys):
    assert main(["study", "h2a", "--dry-run"]) == 2
    assert "no study 'h2a'; the questions of h2 are run and judged together: vapo study h2" in capsys.readouterr().err
