"""A Ray head of a test's own: on the loopback address alone, with a token, in a folder that goes with it.

Ray takes the machine's outer address even where 127.0.0.1 is asked for; the variable below, meant for laptops, prevents it.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]
ENVIRONMENT = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_worker_prestart": "0",
    "RAY_raylet_start_wait_time_s": "240",  # on a machine with other things to do
    "PYTHONPATH": str(ROOT),
    "OMP_NUM_THREADS": "1",
}


class Head:
    """A head node with so many CPUs and, as Ray counts, a GPU; `stop` kills it, `start` starts another at its address."""

    def __init__(self, cpus: int = 2) -> None:
        self.cpus, self.home = cpus, Path(tempfile.mkdtemp(prefix="vr"))  # short: it holds sockets
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.environment = {
            **ENVIRONMENT, "RAY_AUTH_TOKEN": secrets.token_hex(24), "VAPO_NODE_CACHE": str(self.home / "node"),
        }  # fmt: skip
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            RuntimeError: if it does not within two minutes.
        """
        words = [
            str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", "--node-ip-address", "127.0.0.1",
            "--port", str(self.port), "--include-dashboard=false", "--disable-usage-stats", "--num-cpus", str(self.cpus),
            "--num-gpus", "1",
            "--object-store-memory", "80000000", "--temp-dir", str(self.home / "ray"),
        ]  # fmt: skip
        with (self.home / "start.log").open("ab") as log:
            self.process = subprocess.Popen(
                words, stdout=log, stderr=log, env={**os.environ, **self.environment}, start_new_session=True
            )
        end, began = time.monotonic() + 120, (self.home / "start.log").stat().st_size
        while time.monotonic() < end and self.process.poll() is None:
            if b"Ray runtime started" in (self.home / "start.log").read_bytes()[began:]:
                return
            time.sleep(0.1)
        raise RuntimeError((self.home / "start.log").read_text()[-2000:])

    def processes(self, word: str = "") -> list[int]:
        """Ids of its processes, workers included; those whose command line has `word`."""
        return [
            int(folder.name)
            for folder in Path("/proc").glob("[0-9]*")
            if _environ_has(folder, self.environment["RAY_AUTH_TOKEN"]) and word in _line(folder)
            if int(folder.name) != os.getpid()
        ]

    def stop(self) -> None:
        """Kill -9 everything of it at once, as a machine that loses its power does."""
        mine = [process for process in self.processes() if "ray" in _line(Path(f"/proc/{process}"))]
        for process in mine:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if self.process is not None:
            self.process.wait()

    def remove(self) -> None:
        """Stop it and remove its folder."""
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def listening(processes: list[int]) -> set[str]:
    """Addresses on which these processes listen, in the hexadecimal of /proc/net/tcp."""
    inodes = set()
    for process in processes:
        try:
            links = [os.readlink(path) for path in Path(f"/proc/{process}/fd").iterdir()]
        except OSError:
            continue
        inodes |= {link[8:-1] for link in links if link.startswith("socket:[")}
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for fields in map(str.split, Path(table).read_text().splitlines()[1:]):
            if fields[3] == "0A" and fields[9] in inodes:
                found.add(fields[1].split(":")[0])
    return found


def _line(folder: Path) -> str:
    try:
        return (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _environ_has(folder: Path, token: str) -> bool:
    try:
        return token.encode() in (folder / "environ").read_bytes()
    except OSError:
        return False
