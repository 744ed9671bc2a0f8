"""Where vLLM is not installed: one line that says how to get it."""

import sys

import pytest

from experiments.cli import main
from tests.support.worlds import small_spec, trainer_of
from vapo_core.rollout import vllm
from vapo_core.settings import Base


@pytest.fixture
def absent(monkeypatch):
    for name in [name for name in sys.modules if name == "vllm" or name.startswith("vllm.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "vllm", None)


@pytest.mark.parametrize(
    "words", [["train", "--engine", "vllm"], ["ablate", "--world", "lm", "--engine", "vllm", "--seeds", "1"]]
)
def test_commands_name_what_to_install(words, absent, tmp_path, capsys):
    assert main([*words, "--runs", str(tmp_path)]) == 2
    said = capsys.readouterr().err.strip()
    assert said == "vapo: engine = 'vllm': vLLM is not installed; `make vllm` installs its CPU build"
    assert not list(tmp_path.iterdir())


def test_an_evaluation_does_so_before_it_loads_anything(absent, tmp_path, capsys):
    (tmp_path / "config.json").write_text("{}")
    assert main(["evaluate", str(tmp_path), "--engine", "vllm"]) == 2
    assert "vLLM is not installed" in capsys.readouterr().err


def test_so_does_the_library(absent, cache):
    vllm.server.cache_clear()
    with pytest.raises(ValueError, match=r"engine = 'vllm': .* `make vllm` installs its CPU build"):
        trainer_of(small_spec("lm", engine="vllm", base=Base(model="tiny32")), cache)


def test_the_walk_has_its_own_engine(capsys):
    assert main(["train", "--world", "walk", "--engine", "vllm"]) == 2
    assert "engine = 'vllm': world walk has its own sampler" in capsys.readouterr().err
