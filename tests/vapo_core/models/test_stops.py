"""Where answers end: in training, in `generate` on what was saved, and for tokenizers that end every text themselves."""

import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from tests.support.checkpoints import bpe, causal
from tests.support.replicas import always_saying, byte_level, gemma, llama3, qwen, sentence_piece
from tests.vapo_core.models.test_checkpoints import world_of
from tests.vapo_core.training.test_real_training import ran, trainer_of
from vapo_core.models.text import Text, stops_of
from vapo_core.tasks.base import FunctionTask
from vapo_core.types import Problem

PROBLEMS = [Problem(text, "2") for text in ("What is 1 plus 1?", "So is it 42?")]
TASK = FunctionTask(
    lambda rng, n, split: [PROBLEMS[i % 2] for i in range(n)], lambda p, r: 1.0, lambda p, rng: "2", alphabet="",
    max_tokens=12,
)  # fmt: skip

FAMILIES = {
    "qwen": (qwen, "<|im_end|>", "<|endoftext|>"),
    "llama 3": (llama3, "<|eot_id|>", "<|end_of_text|>"),
    "llama 3, merely added": (lambda: llama3(special=False), "<|eot_id|>", "<|end_of_text|>"),
    "gemma": (gemma, "<end_of_turn>", "</s>"),
}


def continued(folder: str, prompts: list[list[int]]) -> list[int]:
    """Tokens that plain `generate` writes after each prompt, greedily and with nothing else said."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return [
        model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=12).shape[1] - len(prompt)
        for prompt in prompts
    ]


@pytest.mark.parametrize("named", ["the end of a text", "nothing"])
@pytest.mark.parametrize("family", FAMILIES)
def test_generate_on_what_was_saved_stops_where_training_stopped(family, named, tmp_path):
    make, turn, end = FAMILIES[family]
    tokenizer = make()
    turn, end = tokenizer.convert_tokens_to_ids([turn, end])
    checkpoint = always_saying(tokenizer, turn, tmp_path / "base", end if named == "the end of a text" else None)
    world = world_of(checkpoint, tmp_path, task=TASK, numbers={"temperature": 1e-2})
    assert world.engine.text.stops == (turn, end)
    rollout = world.engine.generate(PROBLEMS, 1, seed=1)
    assert rollout.mask.sum(1).tolist() == [1, 1]
    assert not rollout.truncated.any()
    prompts = world.engine.text.prompts([p.prompt for p in PROBLEMS])
    assert continued(checkpoint, prompts) == [12, 12]
    world.save(tmp_path / "saved")
    assert continued(str(tmp_path / "saved" / "policy"), prompts) == [1, 1]
    for file in ("generation_config.json", "config.json"):
        content = json.loads((tmp_path / "saved" / "policy" / file).read_text())
        assert set(content["eos_token_id"]) == {turn, end}
    again = world_of(str(tmp_path / "saved" / "policy"), tmp_path, task=TASK, chat="off")
    assert set(again.engine.text.stops) == {turn, end}  # told by the folder, although no template says so


def test_merged_adapters_are_saved_with_every_stop(tmp_path):
    pytest.importorskip("peft", reason="extra real")
    checkpoint = causal(tmp_path / "base", "qwen2", template=True)
    named_alone(checkpoint, "<|endoftext|>")
    trainer = trainer_of(checkpoint, tmp_path, steps=1, lora={"on": True, "rank": 4})
    ran(trainer)
    trainer.save(tmp_path / "saved", trainer.progress)
    saved = AutoModelForCausalLM.from_pretrained(tmp_path / "saved" / "policy")
    assert set(saved.generation_config.eos_token_id) == set(trainer.world.engine.text.stops)
    assert len(saved.generation_config.eos_token_id) == 2


def test_stops_are_those_of_both_configurations_and_no_ordinary_token(tmp_path):
    tokenizer = qwen()
    turn, start, end = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|im_start|>", "<|endoftext|>"])
    folder = always_saying(tokenizer, turn, tmp_path / "base", [end, turn])
    model = AutoModelForCausalLM.from_pretrained(folder)
    model.config.eos_token_id = [start, 77]  # the latter is a default meant for another vocabulary
    assert stops_of(model, tokenizer) == [end, turn, start]
    model.generation_config.eos_token_id, model.config.eos_token_id = None, start
    assert stops_of(model, tokenizer) == [start]
    model.config.eos_token_id = None
    assert stops_of(model, tokenizer) == []


def test_what_follows_an_answer_as_plain_text_ends_no_turn():
    tokenizer = byte_level(["<|end|>"], "<|end|>")
    tokenizer.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    assert Text(tokenizer, chat=True).stops == (tokenizer.eos_token_id,)
    tokenizer.chat_template = "<|end|>{{ messages[0]['role'] }}"
    with pytest.raises(ValueError, match="its chat template drops the message text"):
        Text(tokenizer, chat=True)


def test_the_token_for_unknown_text_ends_no_turn():
    from vapo_core.models.base_model import character_tokenizer

    tokenizer = character_tokenizer("0123456789")
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}#{% endfor %}"
    assert Text(tokenizer, chat=True).stops == (tokenizer.eos_token_id,)


# --- tokenizers that end every text ---


@pytest.mark.parametrize("make", [lambda: sentence_piece(ends=True), lambda: ending(bpe()), lambda: ending(llama3())])
def test_prompts_do_not_end_and_responses_end_once(make):
    tokenizer = make()
    end = tokenizer.eos_token_id
    assert tokenizer("So is it 42?")["input_ids"][-1] == end
    text = Text(tokenizer)
    prompts = text.prompts(["So is it 42?", "So"])
    assert all(end not in prompt for prompt in prompts)
    assert [tokenizer.decode(prompt, skip_special_tokens=True) for prompt in prompts] == ["So is it 42?", "So"]
    assert text.written("7")[-1] == end
    assert text.written("7").count(end) == 1


def ending(tokenizer):
    """The tokenizer, putting the end of the text after every text."""
    from tokenizers import processors

    end = tokenizer.eos_token
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {end}", special_tokens=[(end, tokenizer.eos_token_id)]
    )
    return tokenizer


def test_what_begins_every_text_stays():
    tokenizer = sentence_piece(ends=True)
    assert Text(tokenizer).prompts(["So"])[0][0] == tokenizer.bos_token_id
    assert Text(bpe()).prompts(["So"]) == [bpe()("So")["input_ids"]]


def test_a_demonstration_that_ends_itself_is_not_ended_twice():
    text = Text(qwen(), chat=True)
    end, turn = text.tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_end|>"])
    for closing in ("", "<|im_end|>", "<|endoftext|>", "<|im_end|><|endoftext|>"):
        tokens = text.written(f"2{closing}")
        assert tokens[-1] == turn
        assert sum(token in (end, turn) for token in tokens) == 1
    assert text.written("") == [turn]


def test_a_tokenizer_that_pads_with_its_stop_token(tmp_path):
    """The padding of a batch is not read, and a stop token that was written is."""
    tokenizer = qwen()
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    checkpoint = always_saying(tokenizer, tokenizer.eos_token_id, tmp_path / "base", tokenizer.eos_token_id)
    world = world_of(checkpoint, tmp_path, task=TASK)
    rollout = world.engine.generate(PROBLEMS, 2, seed=1)
    assert rollout.mask[:, 0].all()
    assert (rollout.inputs["ids"][:, -rollout.mask.shape[1] :][:, 0] == tokenizer.eos_token_id).all()
    assert not rollout.truncated.any()
    batch = world.demonstrated(PROBLEMS, 0)
    assert batch.lengths.tolist() == [2, 2]
    prompts = world.engine.text.prompts([p.prompt for p in PROBLEMS])
    assert batch.inputs["attention"].sum(1).tolist() == [len(prompt) + 2 for prompt in prompts]


def test_a_model_with_one_stop_is_saved_with_it(tmp_path):
    checkpoint = causal(tmp_path / "base")
    end = named_alone(checkpoint, "<|endoftext|>")
    world_of(checkpoint, tmp_path).save(tmp_path / "saved")
    saved = AutoModelForCausalLM.from_pretrained(tmp_path / "saved" / "policy")
    assert saved.generation_config.eos_token_id == saved.config.eos_token_id == end


def named_alone(checkpoint: str, word: str) -> int:
    """Let a checkpoint's generation_config name one stop token only, which is returned."""
    token = AutoTokenizer.from_pretrained(checkpoint).convert_tokens_to_ids(word)
    GenerationConfig(eos_token_id=token).save_pretrained(checkpoint)
    return token
