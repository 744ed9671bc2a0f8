"""Tokenizers as well-known model families have them, made small: their vocabularies, templates and ends of turn."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedTokenizerFast

from tests.support.checkpoints import TEMPLATE, config_of

SENTENCES = [
    "Le café coûte 3 €.\nWe add it: 3 + 4 = 7.\n\n",
    "答案是 42。\n因为 6 乘 7 等于 42。\n",
    "So 🙂 it is 🧮 done.\nThe answer is \\boxed{7}.\n",
    "Ça va? Oui, très bien!\nnaïve façade, 日本語 and 中文 side by side.\n",
]
"""Text with characters of one to four bytes, in lines."""

ROUND = (
    "{{ bos }}{% for m in messages %}<|start|>{{ m['role'] }}<|sep|>\n\n{{ m['content'] }}{{ end }}{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant<|sep|>\n\n{% endif %}"
)


def byte_level(special: list[str], eos: str, size: int = 300, **more: Any) -> Any:
    """A byte-level BPE tokenizer, such as those of GPT-2, Qwen and Llama 3; `special` are in its vocabulary."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(SENTENCES, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=eos, **more)


def sentence_piece(size: int = 320, ends: bool = False, **more: Any) -> Any:
    """A BPE tokenizer of spaces and fallback bytes, such as those of Llama 2, Mistral and Gemma.

    Args: ends, whether it puts `</s>` after every text, as `add_eos_token=True` does.
    """
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    inner = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    seen = [sentence.encode("ascii", "ignore").decode().replace("\n", "") for sentence in SENTENCES]
    trainer = trainers.BpeTrainer(vocab_size=size, special_tokens=special, show_progress=False)
    inner.train_from_iterator([*seen, "answer", "boxed"], trainer)
    trained = Tokenizer.from_str(_without_bytes_as_special(inner))
    trained.decoder = decoders.Sequence([
        decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)
    ])  # fmt: skip
    trained.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>" if ends else "<s> $A", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", **more}
    return PreTrainedTokenizerFast(tokenizer_object=trained, **names)


def _without_bytes_as_special(inner: Any) -> str:
    """The tokenizer with its bytes as ordinary tokens: as special ones they would be found in the text itself."""
    import json

    content = json.loads(inner.to_str())
    content["added_tokens"] = [token for token in content["added_tokens"] if not token["content"].startswith("<0x")]
    return json.dumps(content)


def qwen() -> Any:
    """Ends a text with `<|endoftext|>`, a turn with `<|im_end|>`, and names only the former, as Qwen2.5's bases do."""
    more = {"extra_special_tokens": ["<|im_start|>", "<|im_end|>"], "pad_token": "<|endoftext|>"}
    tokenizer = byte_level(["<|endoftext|>", "<|im_start|>", "<|im_end|>"], "<|endoftext|>", **more)
    tokenizer.chat_template = TEMPLATE
    return tokenizer


def llama3(special: bool = True) -> Any:
    """Ends a turn with `<|eot_id|>`: special, or merely added to the vocabulary, as many fine-tunes have it."""
    tokenizer = byte_level(["<|end_of_text|>"], "<|end_of_text|>")
    words = ["<|start|>", "<|sep|>", "<|eot_id|>"]
    tokenizer.add_tokens([AddedToken(word, special=special, normalized=False) for word in words])
    tokenizer.chat_template = ROUND.replace("{{ bos }}", "").replace("{{ end }}", "<|eot_id|>")
    return tokenizer


def gemma() -> Any:
    """Ends a turn with `<end_of_turn>` on a line of its own."""
    tokenizer = sentence_piece()
    tokenizer.add_tokens([AddedToken(word, special=True) for word in ("<|start|>", "<|sep|>", "<end_of_turn>")])
    tokenizer.chat_template = ROUND.replace("{{ bos }}", "<s>").replace("{{ end }}", "\n<end_of_turn>\n")
    return tokenizer


def always_saying(tokenizer: Any, token: int, folder: Path, stops: int | list[int] | None) -> str:
    """The folder of a model that writes one token whatever it read, and whose generation_config names `stops`."""
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(config_of("llama", tokenizer, tied=False))
    with torch.no_grad():
        model.model.embed_tokens.weight[:] = model.model.embed_tokens.weight[0]  # so that every place looks alike
        hidden = model.model(torch.tensor([[0, 0]])).last_hidden_state[0, -1]
        model.lm_head.weight.zero_()
        model.lm_head.weight[token] = 20 * hidden / hidden.norm() ** 2
    model.generation_config = GenerationConfig(eos_token_id=stops)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
