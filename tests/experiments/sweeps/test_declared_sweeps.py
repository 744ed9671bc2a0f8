"""`make sweeps`: alpha against a tuned constant in regimes of the component study, on seeds that nothing else has."""

import subprocess
from pathlib import Path

import pytest

from analysis.tables.regimes import NOISY, TEXT, Regime
from experiments.commands.sweep import configure
from experiments.sweeps.sweep import studies_of
from vapo_core.tasks import TASKS

ROOT = Path(__file__).parents[3]
PLACES = (NOISY[1], NOISY[2], TEXT[1])


def commands() -> list[list[str]]:
    """Words of every sweep that make would start."""
    listed = subprocess.run(
        ["make", "-n", "sweeps"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.replace("\\\n", " ")
    return [line.split("vapo sweep ")[1].split() for line in listed.splitlines() if "vapo sweep" in line]


def test_there_are_two_lengths_of_the_walk_and_one_of_text():
    assert len(commands()) == len(PLACES)


@pytest.mark.parametrize(("number", "regime"), list(enumerate(PLACES)), ids=lambda x: getattr(x, "name", ""))
def test_a_sweep_is_in_its_regime_with_a_constant_beside_it(number: int, regime: Regime):
    config, dials = configure(commands()[number], {})
    usual = TASKS[regime.length.task].dials
    assert usual(**dials) == usual(**regime.length.dials)
    settings = config.settings.model_dump()
    assert {name: settings[name] for name in regime.settings} == dict(regime.settings)
    assert config.first_seed >= 3000
    assert [study.role for study in studies_of(config, dials)] == ["main", "control"]
