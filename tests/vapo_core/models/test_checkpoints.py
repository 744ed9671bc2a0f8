"""Checkpoints from elsewhere: read as Hugging Face reads them, whatever architecture, tokenizer and padding they have."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from tests.support.checkpoints import CORPUS, SHAPES, bpe, causal
from vapo_core.contents import fingerprint
from vapo_core.models.text import Text, uses_template
from vapo_core.seeds import seeds_of
from vapo_core.settings import DEFAULT_SETTINGS, Base, Settings
from vapo_core.tasks.base import FunctionTask
from vapo_core.types import Batch, Problem
from vapo_core.worlds import build_world


def sums(rng, n, split):
    """Prompts of unequal length in tokens."""
    return [Problem(f"What is {a} plus {b}?", str(a + b)) for a, b in rng.integers(0, 200, (n, 2))]


TASK = FunctionTask(sums, lambda p, r: float(len(r) % 2), lambda p, rng: p.answer, alphabet="0", max_tokens=12)
PROBLEMS = sums(np.random.default_rng(0), 6, "train")


def world_of(checkpoint: str, cache: Path, task=TASK, numbers=None, **base):
    settings = Settings(**{**DEFAULT_SETTINGS["lm"].model_dump(), **(numbers or {})})
    return build_world("lm", task, "sums", Base(model=checkpoint, **base), settings, seeds_of(0), cache)


@pytest.mark.parametrize("architecture", SHAPES)
def test_what_is_recorded_is_what_the_plain_model_says(architecture, tmp_path):
    """Sampled, read again in one padded batch, and read by Hugging Face row by row without padding: one probability."""
    bare = architecture in ("qwen2", "gpt2")
    checkpoint = causal(tmp_path / "base", architecture, template=bare, pad=not bare, spare=9, tied=bare)
    world = world_of(checkpoint, tmp_path)
    prompts = world.engine.text.prompts([p.prompt for p in PROBLEMS])
    rollout = world.engine.complete(prompts, [12, 9, 7, 12, 5, 10], 1, 3)
    logp, entropy = world.policy(Batch.ungraded(rollout))
    torch.testing.assert_close(logp, rollout.logp, atol=1e-4, rtol=0)
    plain = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32)
    prompt = rollout.inputs["ids"].shape[1] - rollout.mask.shape[1]
    for row in range(len(rollout.mask)):
        ids = rollout.inputs["ids"][row][rollout.inputs["attention"][row].bool()][None]
        length = int(rollout.mask[row].sum())
        with torch.no_grad():
            rows = plain(ids).logits[0, -length - 1 : -1].log_softmax(-1)
        said = rows.gather(1, rollout.inputs["ids"][row, prompt : prompt + length, None]).squeeze(1)
        torch.testing.assert_close(logp[row, :length], said, atol=1e-5, rtol=0)
        torch.testing.assert_close(entropy[row, :length], -(rows.exp() * rows).sum(1), atol=2e-5, rtol=0)


@pytest.mark.parametrize("architecture", ["qwen2", "gemma2", "gpt2"])
def test_greedy_answers_are_those_of_generate(architecture, tmp_path):
    """At a temperature near 0 the engine writes what Hugging Face's own generate writes, padding and stop tokens too."""
    world = world_of(causal(tmp_path / "base", architecture), tmp_path, numbers={"temperature": 1e-3})
    rollout = world.engine.generate(PROBLEMS, 1, seed=1)
    for row, prompt in enumerate(world.engine.text.prompts([p.prompt for p in PROBLEMS])):
        ids = torch.tensor([prompt])
        (written,) = world.model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=12, pad_token_id=0
        )
        own = rollout.inputs["ids"][row, -rollout.mask.shape[1] :][rollout.mask[row]]
        assert own.tolist() == written[len(prompt) :].tolist()


def test_prompts_go_through_the_chat_template_unless_told_otherwise(tmp_path):
    checkpoint = causal(tmp_path / "base", template=True)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    said = tokenizer.apply_chat_template([{"role": "user", "content": "What is 1 plus 1?"}], add_generation_prompt=True)
    chatting, plain = (world_of(checkpoint, tmp_path, chat=chat).engine.text for chat in ("auto", "off"))
    assert chatting.prompts(["What is 1 plus 1?"]) == [said["input_ids"]]
    assert plain.prompts(["What is 1 plus 1?"]) == [tokenizer("What is 1 plus 1?")["input_ids"]]
    turn, end = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    assert chatting.stops == (turn, end)
    assert chatting.written("2")[-1] == turn
    assert plain.written("2")[-1] == end


def test_the_end_of_a_turn_stops_although_the_checkpoint_names_another_end():
    """Base models with a template often name only the end of a text."""
    tokenizer = bpe(template=True)
    turn = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert Text(tokenizer, chat=True).stops == (turn, tokenizer.eos_token_id)
    assert Text(tokenizer, chat=False).stops == (tokenizer.eos_token_id,)


def test_a_template_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match=r"base\.chat = 'on'.*allowed: auto, off"):
        uses_template("on", bpe(template=False))


def test_a_tokenizer_without_pad_or_stop():
    """Padding is never read, so any token will do; an answer that cannot end is refused."""
    text = Text(bpe(pad=False))
    assert text.pad == text.stop
    endless = bpe(pad=False)
    endless.eos_token = None
    with pytest.raises(ValueError, match=r"base\.model: the checkpoint names no stop token"):
        _ = Text(endless).stop
    assert Text(endless, stops=[7]).stop == 7


def test_tokens_that_only_the_model_has_are_seen_by_a_verifier():
    """A vocabulary padded beyond the tokenizer: such a token must not vanish from the text."""
    tokenizer = bpe()
    two = tokenizer("2", add_special_tokens=False)["input_ids"]
    assert Text(tokenizer).responses([[*two, len(tokenizer) + 3, tokenizer.eos_token_id]]) == ["2<|pad|>"]


def test_too_few_positions_are_refused_in_words(tmp_path):
    checkpoint = causal(tmp_path / "base", "gpt2", n_positions=16)
    with pytest.raises(ValueError, match=r"base\.model: prompt 0 has 8 tokens.*allowed is 16 together.*max_tokens"):
        world_of(checkpoint, tmp_path).engine.generate(PROBLEMS, 1, seed=0)


def test_what_cannot_be_read_is_refused_in_one_line(tmp_path):
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    bpe().save_pretrained(tmp_path / "state_space")
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "vocab_size": 320, "state_size": 4}
    AutoModelForCausalLM.from_config(AutoConfig.for_model("mamba", **shape)).save_pretrained(tmp_path / "state_space")
    expected = {"adapter": "holds an adapter", "empty": "cannot be read", "state_space": "MambaForCausalLM takes no"}
    for name, words in expected.items():
        with pytest.raises(ValueError, match=rf"base\.model: .*{words}") as error:
            world_of(str(tmp_path / name), tmp_path)
        assert "\n" not in str(error.value)


def test_half_precision_without_room_for_small_numbers_is_refused():
    with pytest.raises(ValueError, match="'float32' or 'bfloat16'"):
        Base(dtype="float16")


def test_generation_in_parts_ends_in_one_rollout(tmp_path):
    """A budget of tokens for the cache: every prompt is answered, and log-probabilities are those of the policy."""
    world = world_of(causal(tmp_path / "base"), tmp_path, numbers={"tokens_per_generation_batch": 150})
    rollout = world.engine.generate(PROBLEMS, 3, seed=2)
    assert rollout.mask.shape[0] == 18
    logp, _ = world.policy(Batch.ungraded(rollout))
    torch.testing.assert_close(logp, rollout.logp, atol=1e-4, rtol=0)
    assert len(set(rollout.responses)) > 12  # parts draw apart


def test_a_folder_that_changed_is_another_checkpoint(tmp_path):
    """Warm critics are kept by what a folder holds, not by its name."""
    first = fingerprint(Path(causal(tmp_path / "base")))
    assert first == fingerprint(tmp_path / "base")
    assert first != fingerprint(Path(causal(tmp_path / "base", "llama")))
    assert fingerprint(Path("someone/some-model")) == ""


WITHOUT_US = """
import sys
sys.modules["vapo_core"] = sys.modules["experiments"] = None
import torch
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer
for folder in sys.argv[2:]:
    tokenizer = AutoTokenizer.from_pretrained(folder + "/policy")
    model, lost = AutoModelForCausalLM.from_pretrained(folder + "/policy", output_loading_info=True)
    assert not any(lost.values()), lost
    critic, lost = AutoModelForTokenClassification.from_pretrained(folder + "/critic", output_loading_info=True)
    assert not any(lost.values()), lost
    ids = torch.tensor([tokenizer(sys.argv[1])["input_ids"]])
    torch.save({"logits": model(ids).logits, "values": critic(ids).logits}, folder + "/said.pt")
"""


def moved(checkpoint: str, cache: Path, **base):
    """A world whose trained weights are no longer what they were."""
    world = world_of(checkpoint, cache, **base)
    with torch.no_grad():
        for parameter in (*world.policy.parameters(), *world.critic.parameters()):
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn_like(parameter))
    return world


def test_a_saved_run_loads_without_this_project(tmp_path):
    """A process that cannot import us reads policy and critic, adapters or not, and computes what they computed here."""
    pytest.importorskip("peft", reason="extra real")
    checkpoint = causal(tmp_path / "base", "qwen2", spare=9)
    worlds = {
        "whole": moved(checkpoint, tmp_path),
        "adapters": moved(checkpoint, tmp_path, lora={"on": True, "rank": 4}),
    }
    for name, world in worlds.items():
        world.save(tmp_path / name)
    command = [sys.executable, "-c", WITHOUT_US, CORPUS[3], *(str(tmp_path / name) for name in worlds)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for name, world in worlds.items():
        found = torch.load(tmp_path / name / "said.pt", weights_only=True)
        ids = torch.tensor([world.tokenizer(CORPUS[3])["input_ids"]])
        with torch.no_grad():
            torch.testing.assert_close(found["logits"], world.model(ids).logits, atol=1e-4, rtol=0)
            torch.testing.assert_close(found["values"], world.critic.model(ids).logits, atol=1e-4, rtol=0)
