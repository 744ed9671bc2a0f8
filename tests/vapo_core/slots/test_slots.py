"""Slots beside the seven by hand: in which order prompts come, shaping, filtering, credit, whitening."""

from collections import Counter
from itertools import pairwise

import pytest
import torch

from tests.vapo_core.components.test_components import PAPER, SMALL, double, fingerprint, graded
from vapo_core.components import group_sampling
from vapo_core.recipe import RECIPES, VARIANTS, Toggles, assemble
from vapo_core.slots import credit, select_groups, shape_reward
from vapo_core.training.prompts import PromptStream
from vapo_core.types import Problem

# --- prompts: plain, by type, by difficulty ---

POOL = [Problem(f"p{i}", i, kind="abc"[i % 3], difficulty=float(i // 6)) for i in range(24)]


def changes(labels):
    """How often the label changes from one prompt to the next."""
    return sum(a != b for a, b in pairwise(labels))


def one_pass(plan, number, seed=0):
    return PromptStream(POOL, plan, seed).take(number * len(POOL), len(POOL))


@pytest.mark.parametrize(
    "choose",
    [group_sampling.on, group_sampling.off, *group_sampling.VARIANTS.values()],
    ids=lambda choose: choose.__name__,
)
def test_every_problem_comes_once_per_pass(choose):
    """A grouping that drops or repeats problems would change the training distribution."""
    for number in range(3):
        assert Counter(p.prompt for p in one_pass(choose(SMALL), number)) == Counter(p.prompt for p in POOL)


@pytest.mark.parametrize(
    ("variant", "label"), [("by_type", lambda p: p.kind), ("by_difficulty", lambda p: p.difficulty)]
)
def test_grouped_passes_keep_a_label_together(variant, label):
    """Consecutive prompts share a label: a pass changes label as seldom as possible."""
    plan = VARIANTS["group_sampling"][variant](SMALL)
    count = len({label(p) for p in POOL})
    orders = set()
    for number in range(6):
        labels = [label(p) for p in one_pass(plan, number)]
        assert changes(labels) == count - 1
        orders.add(tuple(labels))
    assert len(orders) > 1, "labels come in random order, anew in each pass"


def test_ungrouped_passes_do_not_keep_labels_together():
    """The plain plan must mix labels, or the variant would not differ from it."""
    labels = [p.kind for p in one_pass(group_sampling.on(SMALL), 0)]
    assert changes(labels) > 2


def test_difficulty_bands_are_quantiles():
    """Two bands over difficulties 0..3 split in the middle; a band is never mixed with another."""
    plan = VARIANTS["group_sampling"]["by_difficulty"](SMALL.model_copy(update={"difficulty_bands": 2}))
    easy = [p.difficulty < 2 for p in one_pass(plan, 0)]
    assert changes(easy) == 1
    assert len({p.difficulty for p in one_pass(plan, 0)[:12]}) == 2


@pytest.mark.parametrize("odd_one", [-1.0, 1.0], ids=["easier", "harder"])
def test_difficulty_bands_with_ties(odd_one):
    """If most problems are equally difficult, the one that is not must still be apart, or the variant does nothing."""
    pool = [Problem(f"p{i}", i, difficulty=odd_one * (i == 7)) for i in range(8)]
    plan = VARIANTS["group_sampling"]["by_difficulty"](SMALL.model_copy(update={"difficulty_bands": 2}))
    for number in range(6):
        places = [p.prompt for p in PromptStream(pool, plan, 0).take(number * 8, 8)]
        assert places.index("p7") in (0, 7)


def test_prompts_are_a_function_of_their_number():
    """Resuming in the middle must draw the prompts the uninterrupted run would have drawn."""
    stream, again = (PromptStream(POOL, group_sampling.on(SMALL), 3) for _ in range(2))
    whole = stream.take(0, 60)
    assert again.take(41, 19) == whole[41:]
    assert again.take(3, 30) == whole[3:33]
    assert PromptStream(POOL, group_sampling.on(SMALL), 4).take(0, 24) != whole[:24]


# --- slots beside the seven ---


def test_soft_overlong_penalty_by_hand():
    """Limit 100, share 0.2: free up to 80, -1/2 at 90, -1 at the limit and never below."""
    penalty = VARIANTS["shape_reward"]["soft_overlong"](PAPER)
    got = penalty(torch.tensor([1, 80, 85, 90, 100, 120]), 100)
    torch.testing.assert_close(got, torch.tensor([0.0, 0.0, -0.25, -0.5, -1.0, -1.0]))


def test_no_shaping_is_zero():
    """By default the verifier's word is the whole reward."""
    assert assemble(Toggles(), PAPER).shape_reward(torch.tensor([1, 100]), 100).tolist() == [0, 0]


def test_dynamic_sampling_drops_groups_that_agree():
    """All wrong and all right say nothing under group-relative credit; a mixed group stays."""
    rewards = double([0.0, 0, 0], [1, 1, 1], [0, 1, 0])
    assert VARIANTS["select_groups"]["dynamic_sampling"](PAPER)(rewards).tolist() == [False, False, True]
    assert assemble(Toggles(), PAPER).select_groups(rewards).tolist() == [True, True, True]


def test_terminal_rewards_stand_on_the_last_valid_token():
    """A reward on padding would be lost, one before the end would be credited to too few tokens."""
    batch = graded([2.0, 3, 4], [[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 1, 1]])
    assert credit.terminal_rewards(batch).tolist() == [[0, 2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 4]]


def test_group_credit_by_hand():
    """Under GRPO every valid token carries its response's standing in its own group; targets leave the critic alone."""
    batch = graded([1.0, 0, 3, 7], [[1, 0], [1, 1], [0, 1], [1, 1]], [0, 0, 1, 1])
    values = torch.zeros(4, 2, dtype=torch.float64)
    advantages, targets = credit.group_credit(batch, values, torch.ones(4), torch.ones(4))
    one, two = 0.5 / (0.5**0.5 + 1e-6), 2 / (8**0.5 + 1e-6)
    torch.testing.assert_close(advantages, double([one, 0], [-one, -one], [0, -two], [two, two]))
    assert (targets == 0).all()


def test_whitening_is_a_slot_and_can_be_off():
    """Advantages as they are must come out untouched, since whitening can hide lambda's effect."""
    x, mask = double([1.0, 2], [3, 9]), torch.ones(2, 2).bool()
    plain = assemble(Toggles(), PAPER.model_copy(update={"whitening": False}))
    assert plain.whiten(x, mask).tolist() == x.tolist()
    assert float(assemble(Toggles(), PAPER).whiten(x, mask).mean()) == pytest.approx(0, abs=1e-12)
    assert assemble(Toggles(), PAPER, {"whiten": "none"}).whiten(x, mask).tolist() == x.tolist()


def test_every_recipe_assembles_and_is_what_its_name_says():
    """GRPO and DAPO have no critic; DAPO differs from GRPO by its four additions."""
    recipes = {name: assemble(bundle.toggles, PAPER, bundle.variants) for name, bundle in RECIPES.items()}
    assert {name for name, r in recipes.items() if r.credit.needs_critic} == {"ppo", "vapo"}
    grpo, dapo = recipes["grpo"], recipes["dapo"]
    assert (tuple(grpo.clip_higher), tuple(dapo.clip_higher)) == ((0.2, 0.2), (0.2, 0.28))
    assert grpo.group_sampling.answers == dapo.group_sampling.answers == 16
    assert dapo.select_groups is select_groups.dynamic_sampling
    assert grpo.select_groups is select_groups.keep_all
    assert fingerprint(dapo)["token_level_loss"] == pytest.approx(7 / 3)
    assert fingerprint(grpo)["token_level_loss"] == 2.0
    assert grpo.shape_reward is shape_reward.no_shaping
    assert dapo.shape_reward(torch.tensor([100]), 100).tolist() == [-1]
