"""Tiny base models: a Hugging Face transformer with a character tokenizer, pretrained here on noisy demonstrations."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from vapo_core.bounds import POSITIONS
from vapo_core.files import set_aside, whole_folder
from vapo_core.models.checkpoints import read_policy
from vapo_core.seeds import child
from vapo_core.settings import Base
from vapo_core.sources import BASES, recorded, say_replaced, say_unrecorded
from vapo_core.tasks.base import Task
from vapo_core.tasks.known_by import code_hash, is_ours
from vapo_core.tasks.sizes import check_positions
from vapo_core.types import Problem

SIZES: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4},
    "tiny32": {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2},
    "small": {"hidden_size": 160, "intermediate_size": 320, "num_hidden_layers": 4, "num_attention_heads": 4},
    "medium": {"hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 6},
}
"""About 0.1, 0.1, 1 and 10 million parameters. tiny32 has head dimension 32, the smallest that vLLM supports on a CPU."""

PRETRAINING: dict[str, dict[str, float]] = {
    "tiny": {"steps": 200, "batch": 64, "lr": 3e-3},
    "tiny32": {"steps": 200, "batch": 64, "lr": 3e-3},
    "small": {"steps": 100, "batch": 64, "lr": 2e-3},
    "medium": {"steps": 120, "batch": 64, "lr": 1e-3},
}
"""Next-token training on demonstrations, by size: seconds, a minute or two, and minutes on a core (it is meant for a GPU)."""


N_DEMONSTRATIONS, N_DEMONSTRATIONS_OF_A_FUNCTION = 64, 4096
"""Demonstrations by which a base model's identity knows its task: few beside its dials, many where it has none."""


def content_key(content: Any) -> str:
    """First 16 hex digits of the SHA-256 of canonical JSON."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def base_identity(task_name: str, task: Any, base: Base) -> dict[str, Any]:
    """Everything a base model depends on, as JSON content: the task's dials and a sample of its demonstrations.

    Dials are those that differ from the defaults. A sample alone would not tell small changes of a dial apart, and dials
    alone not a changed task. A user's own task is known by its code as well.

    Raises:
        ValueError: if answers may be longer than such a model's positions.
    """
    check_positions(task.max_tokens, "lm", base)
    rng, dials = np.random.default_rng(0), getattr(task, "dials", None)
    number = N_DEMONSTRATIONS_OF_A_FUNCTION if dials is None else N_DEMONSTRATIONS
    lessons = [(p.prompt, task.demonstration(p, rng)) for p in lessons_of(task, rng, number)]
    changed = {} if dials is None else dials.model_dump(mode="json", exclude_defaults=True)
    steps = round(PRETRAINING[base.model]["steps"] * getattr(task, "pretraining", 1.0))
    return {
        "task": task_name, "demonstrations": content_key(lessons), "alphabet": task.alphabet, "size": base.model,
        **SIZES[base.model], **PRETRAINING[base.model], "steps": steps, "architecture": base.architecture, "init": base.init,
        **({"dials": changed} if changed else {}), **({} if is_ours(task) else {"code": code_hash(task)}),
    }  # fmt: skip


def lessons_of(task: Any, rng: np.random.Generator, n: int) -> list[Problem]:
    """n problems whose demonstrations a base model learns from: training problems, unless the task has its own `lessons`."""
    return task.lessons(rng, n) if hasattr(task, "lessons") else task.sample(rng, n, "train")


def ensure_base(identity: Mapping[str, Any], task: Task, cache: Path) -> Path:
    """Folder of the base model with this identity, pretrained once and then reused; safe with many processes.

    A damaged one is set aside with a warning and pretrained again; one that other source made is replaced.
    """
    folder = cache / "bases" / content_key(identity)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if folder.exists() and (damage := _damage(folder)):
            set_aside(folder, f"it cannot be read ({damage})", "the base model is pretrained again")
        if folder.exists() and not recorded(folder):
            say_unrecorded(f"base models in {folder.parent}")
        if difference := BASES.difference(folder, cache):
            say_replaced(f"base models in {folder.parent}", difference)
        if difference or not folder.exists():
            model, tokenizer = pretrain(identity, task)
            with whole_folder(folder) as scratch:
                model.save_pretrained(scratch)
                tokenizer.save_pretrained(scratch)
                (scratch / "identity.json").write_text(json.dumps(identity, indent=2))
                BASES.record(scratch, cache)
    return folder


def _damage(folder: Path) -> str:
    """Why a base model in the cache cannot be read; "" if it can."""
    try:
        read_policy("base", str(folder))
    except ValueError as error:
        return str(error)
    return ""


def character_tokenizer(alphabet: str) -> Any:
    """One token per character, plus padding, stop and unknown; saved and loaded in Hugging Face's format."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = {"pad_token": "<pad>", "eos_token": "<eos>", "unk_token": "<unk>"}
    vocabulary = {token: i for i, token in enumerate([*special.values(), *sorted(set(alphabet))])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, padding_side="left", **special)


def build_model(size: str, architecture: str, tokenizer: Any, init: int) -> Any:
    """A randomly initialised Llama-like or Qwen3-like model with untied embeddings."""
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(init)
    config = AutoConfig.for_model(
        architecture, head_dim=SIZES[size]["hidden_size"] // SIZES[size]["num_attention_heads"],
        num_key_value_heads=SIZES[size]["num_attention_heads"],
        vocab_size=len(tokenizer), max_position_embeddings=POSITIONS, tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id, bos_token_id=None,
        initializer_range=0.1, **SIZES[size],
    )  # fmt: skip
    return AutoModelForCausalLM.from_config(config)


def pretrain(identity: Mapping[str, Any], task: Task) -> tuple[Any, Any]:
    """Next-token training on demonstrations of training problems; the loss counts response tokens only."""
    tokenizer = character_tokenizer(identity["alphabet"])
    model = build_model(identity["size"], identity["architecture"], tokenizer, child(identity["init"], 0))
    rng = np.random.default_rng(child(identity["init"], 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=identity["lr"], weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, identity["lr"], total_steps=identity["steps"])
    model.train()
    for _ in range(identity["steps"]):
        problems = lessons_of(task, rng, identity["batch"])
        ids, labels = _demonstrations(problems, task, tokenizer, rng)
        loss = model(input_ids=ids, attention_mask=ids != tokenizer.pad_token_id, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
    return model.eval(), tokenizer


def _demonstrations(
    problems: list, task: Task, tokenizer: Any, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded token ids and labels, [batch, L]; prompt and padding are not learned."""
    rows, labels = [], []
    for problem in problems:
        prompt = tokenizer(problem.prompt)["input_ids"]
        answer = [*tokenizer(task.demonstration(problem, rng))["input_ids"], tokenizer.eos_token_id]
        rows.append([*prompt, *answer])
        labels.append([*[-100] * len(prompt), *answer])
    width = max(map(len, rows))
    pad = tokenizer.pad_token_id
    return (
        torch.tensor([row + [pad] * (width - len(row)) for row in rows]),
        torch.tensor([row + [-100] * (width - len(row)) for row in labels]),
    )
