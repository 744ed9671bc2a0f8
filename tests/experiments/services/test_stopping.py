"""Ctrl-C, SIGTERM and SIGHUP end a command with one line and the shell's exit code, whenever they come."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.faults.signals import SIGNALS, hear_signals

ROOT = Path(__file__).parents[3]


def process(code: str, **options) -> subprocess.Popen:
    """Python at work on some code, in a session of its own as a terminal would start it."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", code]
    return subprocess.Popen(
        words, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True, preexec_fn=hear_signals, **options,
    )  # fmt: skip


def command_that(does: str, *words: str) -> subprocess.Popen:
    """The `vapo` command, whose subcommand is replaced by some code, called as it is imported."""
    return process(
        "import importlib, os, signal, subprocess, sys, time\nfrom experiments import cli\n"
        f"def there(name):\n    {does}\n"
        f"importlib.import_module = there\nsys.exit(cli.main({list(words or ('ls',))}))"
    )


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_while_a_command_is_imported_is_one_line(number):
    there = command_that(f"os.kill(os.getpid(), {int(number)})")
    out, said = there.communicate(timeout=60)
    assert (there.returncode, out) == (128 + number, "")
    assert said == "stopped; re-run the command to resume\n"


def test_a_signal_that_an_import_makes_another_error_of_is_one_line():
    """Extension modules turn whatever comes while they import numpy into an ImportError."""
    there = command_that(
        "exec('try:\\n    os.kill(os.getpid(), 15)\\nexcept BaseException:\\n    raise ImportError(1) from None')"
    )
    _, said = there.communicate(timeout=60)
    assert (there.returncode, said) == (143, "stopped; re-run the command to resume\n")


def test_an_interrupt_before_signals_are_heard_is_one_line():
    code = "import sys\nfrom experiments import cli\nsys.modules['experiments.services.stopping'] = None\n"
    code += "class Early:\n    def find_spec(self, *rest):\n        sys.meta_path.remove(self)\n        raise KeyboardInterrupt\n"
    code += (
        "del sys.modules['experiments.services.stopping']\nsys.meta_path.insert(0, Early())\nsys.exit(cli.main(['ls']))"
    )
    there = process(code)
    _, said = there.communicate(timeout=60)
    assert (there.returncode, said) == (130, "stopped; re-run the command to resume\n")


def test_the_command_line_imports_nothing_that_takes_time():
    code = "import sys; before = set(sys.modules); import experiments.cli; print(*sorted(set(sys.modules) - before))"
    there = process(code)
    new = set(there.communicate(timeout=60)[0].split())
    assert new - {"collections.abc"} == {"experiments", "experiments.cli", "experiments.commands"}


def test_a_second_signal_while_stopping_is_an_echo():
    there = command_that(
        "exec('try:\\n    os.kill(os.getpid(), 2)\\nfinally:\\n    os.kill(os.getpid(), 2); os.kill(os.getpid(), 15)')"
    )
    _, said = there.communicate(timeout=60)
    assert (there.returncode, said) == (130, "stopped; re-run the command to resume\n")


def test_a_signal_well_after_the_first_ends_what_hangs_while_stopping():
    there = command_that(
        "exec('try:\\n    os.kill(os.getpid(), 2)\\nfinally:\\n    print(1, flush=True); time.sleep(60)')"
    )
    assert there.stdout.readline() == "1\n"
    time.sleep(2.5)
    there.send_signal(signal.SIGTERM)
    _, said = there.communicate(timeout=20)
    assert (there.returncode, said) == (143, "")


def test_under_nohup_a_hangup_stays_ignored():
    code = "import os, signal, sys\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    code += f"os.execv(sys.executable, [sys.executable, '-c', {HANGUP!r}])"
    there = process(code)
    out, said = there.communicate(timeout=60)
    assert (there.returncode, out, said) == (0, "went on\n", "")


HANGUP = """
import importlib, os, signal, sys
from types import SimpleNamespace
from experiments import cli
def run(words):
    os.kill(os.getpid(), signal.SIGHUP)
    print("went on")
    return 0
importlib.import_module = lambda name: SimpleNamespace(run=run)
sys.exit(cli.main(["ls"]))
"""


def test_a_command_leaves_the_handlers_of_its_caller(capsys):
    from experiments.cli import main

    before = [signal.getsignal(number) for number in SIGNALS]
    assert main(["nothing"]) == 2
    assert [signal.getsignal(number) for number in SIGNALS] == before
    capsys.readouterr()


def test_workers_do_not_hear_an_interrupt_even_while_they_start(tmp_path):
    """A terminal sends Ctrl-C to the workers, too: none may answer with a traceback of its imports."""
    code = "import sys\nfrom experiments.cli import main\nfrom tests.support.worlds import small_spec\n"
    code += "words = ['ablate', '--world', 'walk', '--preset', 'smoke', '--workers', '2', '--runs', sys.argv[1]]\n"
    code += "from experiments.launchers import workers\nstart = workers.Worker.__init__\n"
    code += "def told(self, job):\n    start(self, job)\n    print('started', flush=True)\n"
    code += "workers.Worker.__init__ = told\nif __name__ == '__main__':\n    sys.exit(main(words))\n"
    script = tmp_path / "script.py"
    script.write_text(code)
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"
    }  # fmt: skip
    there = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "runs")], cwd=ROOT, env=environment, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True, start_new_session=True, preexec_fn=hear_signals,
    )  # fmt: skip
    assert any("started" in line for line in there.stdout)
    os.killpg(there.pid, signal.SIGINT)
    _, said = there.communicate(timeout=120)
    assert there.returncode == 130
    assert [line for line in said.splitlines() if "MLflow is unavailable" not in line] == [
        "stopped; re-run the command to resume"
    ]
