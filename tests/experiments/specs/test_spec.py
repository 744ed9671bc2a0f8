"""A run is its spec: hashing, validation, designs."""

import json

import pytest
from pydantic import ValidationError

from experiments.specs.designs import Cell, add_one_in, leave_one_out
from experiments.specs.spec import BASES, PROTOCOLS, RunSpec, TaskSpec, paired_base, spec_for
from tests.support.worlds import small_spec
from vapo_core.settings import COMPONENTS, DEFAULT_SETTINGS, RECIPES, Base, Settings, Toggles


def test_hash_depends_on_content_alone():
    """Spelling a default out changes nothing; changing any number does; a round trip through JSON keeps it."""
    spec = spec_for("vapo", "walk", 0)
    assert spec.hash == spec_for("vapo", "walk", 0, evaluation=spec.evaluation.model_copy()).hash
    assert spec.hash == RunSpec.model_validate_json(spec.model_dump_json()).hash
    assert spec.hash != spec_for("vapo", "walk", 1).hash
    assert (
        spec.hash
        != spec_for("vapo", "walk", 0, settings=DEFAULT_SETTINGS["walk"].model_copy(update={"alpha": 0.51})).hash
    )
    assert spec.hash != spec.model_copy(update={"protocol": 99}).hash


def test_hash_is_the_same_on_every_machine():
    """A golden hash: if it moves, old records are orphaned, so the protocol has to be raised."""
    bare = spec_for("ppo", "walk", 7, settings=Settings(alpha=0.4))
    assert json.loads(bare.model_dump_json(exclude_defaults=True))["settings"] == {"alpha": 0.4}
    assert len(bare.hash) == 16


def test_protocol_is_part_of_the_spec():
    protocol = {
        world: spec_for("vapo", world, 0).model_dump(exclude_defaults=True)["protocol"] for world in ("walk", "lm")
    }
    assert protocol == {world: PROTOCOLS[world] for world in ("walk", "lm")}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recipe": "vappo"}, "did you mean 'vapo'"),
        ({"stepz": 3}, "stepz"),
        ({"steps": 0}, "steps"),
        ({"settings": {"alpha": -1}}, "alpha"),
        ({"settings": {"responses_per_step": 10, "group_size": 3}}, "multiple of group_size"),
        ({"task": {"name": "text_walk"}}, "belongs to world 'lm'"),
        ({"task": {"name": "walk", "dials": {"sise": 3}}}, "sise"),
        ({"probes": {"value_eror": 5}}, "did you mean 'value_error'"),
        ({"probes": {"value_error": 0}}, "at least 1"),
    ],
)
def test_impossible_specs_are_refused_by_name(change, message):
    content = json.loads(spec_for("vapo", "walk", 0).model_dump_json(exclude_defaults=True))
    with pytest.raises(ValidationError, match=message):
        RunSpec.model_validate({**content, **change})


def test_group_credit_with_one_answer_is_refused_when_the_spec_is_built():
    with pytest.raises(ValueError, match="compares answers to one prompt"):
        spec_for("grpo", "walk", 0, toggles=Toggles(**dict.fromkeys(COMPONENTS, False)))


def test_leave_one_out_is_full_vapo_and_seven_removals():
    arms = leave_one_out()
    assert arms[0] == Cell("vapo", RECIPES["vapo"].toggles)
    removed = [[n for n in COMPONENTS if not getattr(arm.toggles, n)] for arm in arms[1:]]
    assert removed == [[name] for name in COMPONENTS]


def test_add_one_in_is_ppo_and_seven_additions():
    arms = add_one_in()
    added = [[n for n in COMPONENTS if getattr(arm.toggles, n)] for arm in arms]
    assert added == [[], *([name] for name in COMPONENTS)]


def test_arms_are_labelled_by_what_differs():
    assert small_spec().arm == "vapo"
    assert small_spec(toggles=Toggles(clip_higher=False)).arm == "vapo without clip_higher"
    with_one = RECIPES["ppo"].toggles.model_copy(update={"decoupled_gae": True})
    assert small_spec(recipe="ppo", toggles=with_one).arm == "ppo with decoupled_gae"


def test_task_dials_are_checked_by_name():
    with pytest.raises(ValidationError, match="horizon"):
        TaskSpec(name="walk", dials={"horizon": 0})


def test_every_confirmatory_text_seed_has_a_base_that_development_never_saw():
    """Three bases shared by the seeds would make them no replicates; seeds of smoke and quick share theirs to save time."""
    own = [paired_base(Base(), "lm", seed).init for seed in range(1000, 1032)]
    developed = {paired_base(Base(), "lm", seed).init for seed in range(1000)}
    assert len(set(own)) == 32
    assert not developed & set(own)
    assert len(developed) == BASES
    assert [paired_base(Base(), "walk", seed).init for seed in (0, 4, 1000)] == [0, 4, 1000]
