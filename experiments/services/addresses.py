"""Database and server addresses: with the password for the driver that connects, redacted everywhere else."""

import importlib.util
import os
import re
import sys
import traceback
from types import TracebackType
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

KEPT_SECRET = ("MLFLOW_TRACKING_URI", "OPTUNA_STORAGE", "PGPASSWORD", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN",
               "RAY_AUTH_TOKEN")  # fmt: skip
"""Environment variables that hold a password, or an address that contains one."""

_IN_ADDRESS = re.compile(r"((?<![A-Za-z0-9+.\-])[A-Za-z][A-Za-z0-9+.\-]*://[^\s:/@'\"]*):([^\s'\"]+)@")
_AS_FIELD = re.compile(r"((?:password|passwd|token)\s*=\s*)[^\s&'\",;)]+", re.IGNORECASE)
_MENTIONED: set[str] = set()


def redacted(text: str) -> str:
    """The text with passwords replaced by ***: in addresses, after password=, and any known to this process."""
    for secret in sorted(_MENTIONED | _from_environment(), key=len, reverse=True):
        text = text.replace(secret, "***")
    return _AS_FIELD.sub(r"\1***", _IN_ADDRESS.sub(r"\1:***@", text))


def database_address(name: str, address: str) -> str:
    """A PostgreSQL address for SQLAlchemy, with driver and connection timeout; its password is redacted from then on.

    Args:
        name: of the option or environment variable, for error messages.
        address: postgresql://USER:PASSWORD@HOST:PORT/DATABASE; libpq takes missing parts from PGPASSWORD, ~/.pgpass and
            its other sources.

    Raises:
        ValueError: if it is not such an address, or the driver is not installed.
    """
    remember(address)
    form = "expected postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
    try:
        found = urlsplit(address)
        port = found.port
    except ValueError:
        raise ValueError(f"{name}: {form}") from None
    if not is_postgres(address):
        raise ValueError(f"{name}: {form}")
    if found.netloc.count("@") > 1 or found.fragment or not found.path.strip("/") or port == 0:
        raise ValueError(f"{name}: {form}, with @ : / ? # in a password written as %40 %3A %2F %3F %23")
    if importlib.util.find_spec("psycopg") is None:
        raise ValueError(f"{name}: PostgreSQL needs the package psycopg: pip install -e '.[cluster]'")
    query = {"connect_timeout": "5", **dict(parse_qsl(found.query))}
    return urlunsplit(("postgresql+psycopg", found.netloc, found.path, urlencode(query), ""))


def is_postgres(address: str) -> bool:
    """Whether an address names a PostgreSQL database."""
    return address.partition("://")[0].partition("+")[0] in ("postgresql", "postgres")


def remember(address: str) -> None:
    """Remember the password of an address, so that `redacted` removes it from now on."""
    _MENTIONED.update(_secrets(address))


def redact_uncaught() -> None:
    """Redact passwords in this process's tracebacks."""

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        print(redacted("".join(traceback.format_exception(kind, error, trace))), end="", file=sys.stderr)

    sys.excepthook = hook


def _from_environment() -> set[str]:
    return {secret for name in KEPT_SECRET for secret in _secrets(os.environ.get(name, ""))}


def _secrets(text: str) -> set[str]:
    """The passwords in an address, or the text itself if it is not one; short ones are skipped, as they occur in any text."""
    if "://" in text:
        found = [match.group(2) for match in _IN_ADDRESS.finditer(text)]
        found += [value for key, value in parse_qsl(text.partition("?")[2]) if key in ("password", "passwd")]
    else:
        found = [text] if text.count("/") < 2 else []  # a path, such as a tracking URI may be, is no secret
    return {form for secret in found for form in (secret, unquote(secret)) if len(form) >= 6}
