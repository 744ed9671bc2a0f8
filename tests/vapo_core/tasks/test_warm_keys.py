"""What a cache is named after: whatever it depends on changes the name, and nothing else does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.checkpoints import causal, reward_model
from vapo_core.contents import fingerprint
from vapo_core.models.base_model import base_identity, content_key
from vapo_core.recipe import RECIPES, assemble
from vapo_core.seeds import seeds_of
from vapo_core.settings import DEFAULT_SETTINGS, Base, Settings
from vapo_core.tasks import make_task
from vapo_core.tasks.base import FunctionTask
from vapo_core.tasks.known_by import code_hash, problems_hash, task_identity
from vapo_core.training.value_pretraining import _keep, _key_content, _load
from vapo_core.types import Problem
from vapo_core.worlds import build_world


def rows(folder: Path, sums) -> Path:
    """A data file of additions."""
    lines = [json.dumps({"problem": f"What is {a} plus {b}?", "answer": str(a + b)}) for a, b in sums]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data.jsonl").write_text("\n".join(lines))
    return folder / "data.jsonl"


def key_of(task, checkpoint, cache, name="sums", numbers=None, engine="transformers", **base) -> str:
    """Name of the warm critic that a run would have."""
    settings = Settings(**{**DEFAULT_SETTINGS["lm"].model_dump(), "pool_size": 8, **(numbers or {})})
    seeds = seeds_of(0)
    world = build_world("lm", task, name, Base(model=str(checkpoint), **base), settings, seeds, cache, engine)
    pool = task.sample(np.random.default_rng(seeds.data), settings.pool_size, "train")
    recipe = assemble(RECIPES["vapo"].toggles, settings, RECIPES["vapo"].variants)
    return content_key(_key_content(world, recipe, settings, pool, 0, seeds))


def test_a_warm_critic_is_named_after_its_data(tmp_path):
    """Of two files of one name in one place, of other answers, and of one file under two names."""
    base = causal(tmp_path / "base")

    def key(path):
        return key_of(make_task("jsonl", {"path": str(path)}), base, tmp_path, "jsonl")

    first = rows(tmp_path / "a", [(i, 1) for i in range(40)])
    keys = [key(first), key(rows(tmp_path / "b", [(i, 1) for i in range(40)]))]
    assert keys[0] == keys[1]
    keys.append(key(rows(tmp_path / "c", [(i, 2) for i in range(40)])))
    wrong = rows(tmp_path / "d", [(i, 1) for i in range(40)])
    wrong.write_text(wrong.read_text().replace('"answer": "', '"answer": "1'))
    keys.append(key(wrong))
    assert len(set(keys)) == 3


@pytest.mark.parametrize(
    ("task", "dials"),
    [
        ("addition", {"longest": 2}),
        ("addition", {"filler": 3}),
        ("text_walk", {"hazard": 2}),
        ("chain", {"noise": 0.5}),
    ],
)
def test_dials_and_tasks_have_warm_critics_of_their_own(task, dials, tmp_path):
    base = causal(tmp_path / "base")
    assert key_of(make_task(task, dials), base, tmp_path, task) != key_of(make_task(task, {}), base, tmp_path, task)


def test_a_time_limit_of_the_verifier_counts(tmp_path):
    path = str(rows(tmp_path, [(i, 1) for i in range(40)]))
    known = [task_identity("jsonl", make_task("jsonl", {"path": path, **more})) for more in ({}, {"time_limit": 1.0})]
    assert known[0] != known[1]
    assert path not in json.dumps(known)


def replaced(file: Path, content: bytes) -> None:
    """Another content under the same name, size and date."""
    was = file.stat()
    file.write_bytes(content.ljust(was.st_size)[: was.st_size])
    os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "generation_config.json", "tokenizer.json", "chat_template.jinja"]
)
def test_a_file_replaced_in_place_makes_another_checkpoint(name, tmp_path):
    folder = Path(causal(tmp_path / "base", template=True))
    first = fingerprint(folder)
    content = bytearray((folder / name).read_bytes())
    content[-2] ^= 1
    replaced(folder / name, bytes(content))
    assert fingerprint(folder) != first


def test_pickled_weights_make_another_checkpoint_and_a_readme_does_not(tmp_path):
    folder = Path(causal(tmp_path / "base"))
    first = fingerprint(folder)
    (folder / "README.md").write_text("what it is")
    (folder / "optimizer.pt").write_bytes(b"moments")
    assert fingerprint(folder) == first
    torch.save({"x": torch.zeros(1)}, folder / "pytorch_model.bin")
    assert fingerprint(folder) != first


def test_what_else_a_warm_critic_depends_on(tmp_path):
    base, task = causal(tmp_path / "base", template=True), make_task("addition", {})
    ways = [
        {}, {"chat": "off"}, {"dtype": "bfloat16"}, {"critic": reward_model(tmp_path / "judge")},
        {"critic": causal(tmp_path / "other", "llama")},
        *({"numbers": {name: value}} for name, value in {
            "temperature": 0.7, "critic_bias": 0.5, "reward_low": -1.0, "critic_lr": 1e-3, "weight_decay": 0.1,
            "value_clip": 0.2, "tokens_per_generation_batch": 500.0, "warmup_steps": 3, "adam_beta1": 0.8,
        }.items()),
    ]  # fmt: skip
    keys = [key_of(task, base, tmp_path, "addition", **way) for way in ways]
    assert len(set(keys)) == len(ways)
    policy_alone = {"policy_lr": 1.0, "clip_high": 0.5, "mu": 0.3, "entropy_coef": 0.1, "alpha": 0.2}
    assert key_of(task, base, tmp_path, "addition", numbers=policy_alone) == keys[0]


# --- a user's own task ---

LIMIT = 5


def own(verify, share=0.3, most=12):
    return FunctionTask(
        lambda rng, n, split: [Problem(f"{i}:", i) for i in range(n)],
        verify,
        lambda problem, rng: "0" if rng.random() < share else "1",
        alphabet="01:",
        max_tokens=most,
    )


def is_long(response):
    return len(response) > LIMIT


def test_a_users_task_is_known_by_its_code(monkeypatch):
    """Verifiers that agree on every demonstration are told apart, also by what they call, enclose and compare with."""
    hashes = [code_hash(own(verify)) for verify in (
        lambda p, r: float(len(r) % 2), lambda p, r: float(len(r) > 7), lambda p, r: float(is_long(r)),
    )]  # fmt: skip
    hashes += [code_hash(own(lambda p, r: 1.0, share=share)) for share in (0.3, 0.305)]
    hashes += [code_hash(own(lambda p, r, least=least: float(len(r) > least))) for least in (3, 4)]
    monkeypatch.setattr(sys.modules[__name__], "LIMIT", 6)
    hashes.append(code_hash(own(lambda p, r: float(is_long(r)))))
    assert len(set(hashes)) == len(hashes)
    assert code_hash(own(lambda p, r: float(is_long(r)))) == hashes[-1]


def test_a_users_base_and_warm_critic_are_named_after_the_code(tmp_path):
    one, other = own(lambda p, r: float(len(r) % 2)), own(lambda p, r: float(len(r) > 7))
    base = causal(tmp_path / "base")
    assert key_of(one, base, tmp_path) == key_of(own(lambda p, r: float(len(r) % 2)), base, tmp_path)
    assert key_of(one, base, tmp_path) != key_of(other, base, tmp_path)
    assert key_of(one, base, tmp_path) != key_of(own(lambda p, r: float(len(r) % 2), most=11), base, tmp_path)
    keys = [
        content_key(base_identity("mine", own(lambda p, r: 1.0, share=share), Base())) for share in (0.3, 0.3, 0.31)
    ]
    assert keys[0] == keys[1] != keys[2]


def test_the_code_is_the_same_in_every_process():
    command = "from tests.vapo_core.tasks.test_warm_keys import own; from vapo_core.tasks.known_by import code_hash;"
    command += "print(code_hash(own(lambda p, r: float(r in {'a', 'b', 'c'}))))"
    found = {
        subprocess.run(
            [sys.executable, "-c", command], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


class Hidden:
    """An answer that says nothing of itself."""

    def __init__(self, value):
        self.value = value


@pytest.mark.parametrize("wrap", [list, Hidden, np.array, lambda x: {"x": x}, torch.tensor, lambda x: (x, Hidden(x))])
def test_problems_are_known_by_what_is_compared(wrap):
    """A long array prints itself cut short, an object by its address."""
    values = list(range(2000))
    other = [*values[:1000], -1, *values[1001:]]
    hashes = [problems_hash([Problem("?", wrap(answer))]) for answer in (values, values, other)]
    assert hashes[0] == hashes[1] != hashes[2]


# --- what is found under a name ---


def test_a_warm_critic_with_lost_weights_leaves_the_critic_as_it_was(tmp_path, capsys):
    """It used to go on from the half of it that could be read."""
    base = Base(model=causal(tmp_path / "base"))
    settings = DEFAULT_SETTINGS["lm"]
    world = build_world("lm", make_task("addition", {}), "addition", base, settings, seeds_of(0), tmp_path)
    fresh = {name: x.clone() for name, x in world.critic.state_dict().items()}
    for harm in (lambda w: w.pop("model.score.bias"), lambda w: w["model.score.weight"].fill_(float("nan"))):
        home = tmp_path / "critics" / "warm"
        with torch.no_grad():
            for parameter in world.critic.parameters():
                parameter.add_(1.0)
        _keep(world, home, 5, tmp_path)
        spoil(home / "critic.safetensors", harm)
        world.critic.load_state_dict(fresh)
        assert _load(world, home, tmp_path) is None
        assert "set aside" in (error := capsys.readouterr().err) or "fitted again" in error
        assert all(torch.equal(x, fresh[name]) for name, x in world.critic.state_dict().items())


def spoil(file, harm):
    from safetensors.torch import load_file, save_file

    weights = load_file(str(file))
    harm(weights)
    save_file(weights, str(file), metadata={"format": "pt"})
