"""`vapo completion SHELL`: a script that completes commands and options."""

import importlib
from collections.abc import Sequence

from pydantic import BaseModel, Field
from tyro.conf import Positional

from experiments.specs.options import flag_names, parse
from vapo_core.settings import Frozen

SCRIPT = """_vapo() {{
  local word="${{COMP_WORDS[COMP_CWORD]}}"
  if [ "$COMP_CWORD" = 1 ]; then
    COMPREPLY=($(compgen -W "{commands}" -- "$word"))
    return
  fi
  case "${{COMP_WORDS[1]}}" in
{cases}
  esac
}}
complete -o default -F _vapo vapo
"""


class CompletionConfig(Frozen):
    """Print a completion script; for bash: eval "$(vapo completion bash)"."""

    shell: Positional[str] = Field("bash", description="bash or zsh")


def run(words: Sequence[str]) -> int:
    """Parse, print."""
    config = parse(CompletionConfig, CompletionConfig(), words, "completion")
    if config.shell not in ("bash", "zsh"):
        raise ValueError(f"shell = {config.shell!r}: allowed are bash and zsh")
    if config.shell == "zsh":
        print("autoload -U +X bashcompinit && bashcompinit")
    print(script())
    return 0


def script() -> str:
    """The bash function, with every command's options."""
    from experiments.commands import COMMANDS

    cases = []
    for name, (place, _) in COMMANDS.items():
        found = vars(importlib.import_module(place)).values()
        configs = [
            x for x in found if isinstance(x, type) and issubclass(x, BaseModel) and x.__name__.endswith("Config")
        ]
        options = " ".join(
            f"--{flag.replace('_', '-')}" for flag in dict.fromkeys(f for c in configs for f in flag_names(c))
        )
        cases.append(f'    {name}) COMPREPLY=($(compgen -W "{options}" -- "$word")) ;;')
    return SCRIPT.format(commands=" ".join(COMMANDS), cases="\n".join(cases))
