"""A PostgreSQL server of a test's own: on the loopback address, as an ordinary user, in a folder that goes with it."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from tests.support.servers.ray_cluster import free_port

PASSWORD = "open-sesame-4711"
"""Looked for in everything that is written and said."""


def binaries() -> Path | None:
    """The folder of the newest server on this machine: Debian keeps it off the search path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    other = shutil.which("initdb")
    return found[-1].parent if found else Path(other).resolve().parent if other else None


class Server:
    """A database `vapo` of a user `vapo` with a password; `stop` and `start` as often as need be."""

    def __init__(self) -> None:
        home = binaries()
        assert home is not None
        self._home, self._port = home, free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="vapo-pg-"))
        self._process: subprocess.Popen[bytes] | None = None
        # the server refuses to run as root
        self._as = (
            {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []} if not os.getuid() else {}
        )
        if self._as:
            shutil.chown(self.folder, "nobody")
        secret = self.folder / "secret"
        secret.write_text(PASSWORD)
        words = ["-D", str(self.folder / "data"), "-U", "vapo", "--pwfile", str(secret), "-A", "scram-sha-256",
                 "-E", "UTF8", "--locale=C", "--no-sync"]  # fmt: skip
        subprocess.run([str(home / "initdb"), *words], check=True, capture_output=True, cwd="/", **self._as)
        secret.unlink()

    @property
    def address(self) -> str:
        """As a user gives it, password and all."""
        return f"postgresql://vapo:{PASSWORD}@127.0.0.1:{self._port}/postgres"

    def database(self, name: str) -> str:
        """The address of a new database."""
        import psycopg

        with psycopg.connect(self.address, autocommit=True) as connection:
            connection.execute(f"create database {name}")
        return self.address.removesuffix("postgres") + name

    def start(self) -> None:
        """Start it and wait until it answers."""
        import psycopg

        words = ["-D", str(self.folder / "data"), "-p", str(self._port), "-h", "127.0.0.1", "-k", "",
                 "-c", "fsync=off", "-c", "max_connections=80"]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._home / "postgres"), *words], stdout=log, stderr=log, cwd="/", **self._as
            )
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                psycopg.connect(self.address, connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                time.sleep(0.1)
        raise RuntimeError((self.folder / "log").read_text()[-2000:])

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: SIGINT ends connections in order, SIGQUIT as a crash does."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(30)

    def remove(self) -> None:
        """Stop it and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)
