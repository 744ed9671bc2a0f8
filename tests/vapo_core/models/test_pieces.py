"""Tokens of a decoded text: what each adds, and which step of reasoning it is in, whatever the tokenizer."""

import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PretrainedConfig

from tests.support.checkpoints import bpe, causal
from tests.support.replicas import SENTENCES, byte_level, gemma, sentence_piece
from tests.vapo_core.models.test_checkpoints import world_of
from vapo_core.models.base_model import character_tokenizer
from vapo_core.models.pieces import Pieces
from vapo_core.models.text import Text
from vapo_core.rollout.text_engine import TextEngine
from vapo_core.tasks.base import FunctionTask

TOKENIZERS = {
    "byte-level": byte_level(["<|end|>"], "<|end|>"),
    "bytes alone": byte_level(["<|end|>"], "<|end|>", size=257),
    "sentence pieces": sentence_piece(),
    "gemma": gemma(),
    "characters": character_tokenizer("".join(SENTENCES)),
}
TEXTS = [*SENTENCES, "".join(SENTENCES), "  two spaces\n\n  begin  ", "é", "", " ", "\n", "�", "a�é", "👩‍👩‍👧 家族"]


def lines(text: str) -> list[int]:
    """A step is a line."""
    return [at + 1 for at, letter in enumerate(text) if letter == "\n"]


class Bare:
    """A model as far as an engine looks at one that does not sample."""

    config = PretrainedConfig()

    def get_input_embeddings(self):
        return torch.nn.Embedding(1_000_000, 1, device="meta")

    def parameters(self):
        return iter([torch.zeros(1)])


def engine_of(tokenizer) -> TextEngine:
    return TextEngine(Bare(), tokenizer, 1.0, 10_000, lines)


def written(tokenizer, text: str) -> list[int]:
    return Text(tokenizer).written(text)


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("text", TEXTS)
def test_a_text_is_what_its_tokens_add(name, text):
    tokens = written(TOKENIZERS[name], text)
    reader = Text(TOKENIZERS[name])
    (whole,) = reader.responses([tokens])
    (pieces,) = reader.pieces([tokens], [whole])
    assert "".join(pieces) == whole
    assert len(pieces) == len(tokens)
    assert pieces[-1] == ""


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_token_is_in_the_step_that_its_first_character_is_in(name):
    """Held against the places that the tokenizer itself reports when it reads the text."""
    tokenizer = TOKENIZERS[name]
    text = "".join(SENTENCES)
    rollout = engine_of(tokenizer).write([[5]], [written(tokenizer, text)])
    (said,) = rollout.responses
    assert said == text
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    expected = [sum(end <= begin for end in lines(text)) for begin, _ in offsets]
    assert rollout.step[0, :-1].tolist() == expected
    assert rollout.step[0, -1] == len(lines(text))  # the stop token opens the last one


def test_steps_by_hand():
    """é is two tokens of one byte, and the line ends between b and c; the place after the text counts as after its end."""
    tokenizer = byte_level(["<|end|>"], "<|end|>", size=257)
    rollout = engine_of(tokenizer).write([[5], [5]], [written(tokenizer, "é\nb\nc"), written(tokenizer, "é")])
    assert rollout.step.tolist() == [[0, 0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 0, 0, 0]]
    assert Text(tokenizer).pieces([written(tokenizer, "é\nb")], ["é\nb"]) == [["", "é", "\n", "b", ""]]


def test_a_leading_space_is_not_lost_within_a_text():
    tokenizer = sentence_piece()
    tokens = tokenizer("The answer is 7.", add_special_tokens=False)["input_ids"]
    pieces = Pieces(tokenizer).of(tokens, "The answer is 7.")
    assert "".join(pieces) == "The answer is 7."
    assert [piece for piece in pieces if piece.startswith(" ")]
    assert not pieces[0].startswith(" ")


@pytest.mark.parametrize("name", ["byte-level", "bytes alone", "sentence pieces", "gemma"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_whatever_a_model_writes_is_what_its_tokens_add(name, data):
    """Also bytes that are no character, in any order; special tokens are written out."""
    tokenizer = TOKENIZERS[name]
    row = data.draw(st.lists(st.integers(0, len(tokenizer) - 1), max_size=30))
    text = tokenizer.decode(row, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    pieces = Pieces(tokenizer).of(row, text)
    assert "".join(pieces) == text
    assert len(pieces) == len(row)


@pytest.mark.parametrize("name", ["byte-level", "sentence pieces"])
def test_the_quick_way_and_the_slow_way_agree(name):
    reader = Pieces(TOKENIZERS[name])
    for text in [text for text in TEXTS if "�" not in text]:
        row = TOKENIZERS[name](text, add_special_tokens=False)["input_ids"]
        assert reader.of(row, reader.decoded(row)) == reader._by_beginnings(row, reader.decoded(row))


def test_a_tokenizer_that_joins_words_by_rules_of_its_own_is_read_from_the_beginning():
    """The end of a word is a space except in the last one, so that no token adds the same everywhere."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.WordLevel({"a</w>": 0, "one</w>": 1, "two</w>": 2, "<end>": 3}, unk_token="<end>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.decoder = decoders.BPEDecoder(suffix="</w>")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>")
    assert tokenizer.decode([1, 2]) == "one two"
    pieces = Pieces(tokenizer).of([1, 2, 1], "one two one")
    assert "".join(pieces) == "one two one"
    assert [piece.strip() for piece in pieces] == ["one", "two", "one"]


def test_a_long_response_takes_time_in_proportion_to_its_length():
    reader = Pieces(TOKENIZERS["bytes alone"])
    text = "".join(SENTENCES) * 200
    row = TOKENIZERS["bytes alone"](text, add_special_tokens=False)["input_ids"]
    reader.of(row[:100], "")
    began = time.perf_counter()
    assert "".join(reader.of(row, text)) == text
    assert len(row) > 40_000
    assert time.perf_counter() - began < 2.0


def test_a_trace_shows_texts_that_make_up_the_response(tmp_path):
    task = FunctionTask(lambda rng, n, s: [], lambda p, r: 0.0, lambda p, rng: "", alphabet="", max_tokens=20)
    world = world_of(causal(tmp_path / "base"), tmp_path, task=task)
    tokens = bpe()("né 中文 🙂", add_special_tokens=False)["input_ids"]
    stop = world.engine.text.stop
    rollout = world.engine.write([[5]], [[*tokens, stop]])
    said = [token.text for token in world.describe(rollout)[0]]
    assert "".join(said[:-1]) == "né 中文 🙂" == rollout.responses[0]
    assert said[-1] == world.tokenizer.decode([stop])
