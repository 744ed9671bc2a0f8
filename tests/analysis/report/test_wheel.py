"""A wheel carries the report's templates: without them an installed `vapo report` has nothing to fill."""

import subprocess
import sys
import zipfile
from pathlib import Path

from analysis.report.pages import TEMPLATES

ROOT = Path(__file__).parents[3]
BUILD = "from setuptools import build_meta; import sys; print(build_meta.build_wheel(sys.argv[1]))"


def test_a_wheel_carries_every_template(tmp_path):
    """Built from a copy of what the wheel is made of, without the network."""
    source, out = tmp_path / "source", tmp_path / "wheel"
    source.mkdir()
    out.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    for path in (ROOT / "analysis").rglob("*"):
        if path.suffix in (".py", ".j2"):
            copy = source / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    subprocess.run([sys.executable, "-c", BUILD, str(out)], cwd=source, check=True, capture_output=True, timeout=120)
    (wheel,) = out.glob("*.whl")
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".j2")}
    assert inside == {path.relative_to(ROOT).as_posix() for path in TEMPLATES.glob("*.html.j2")}
    assert inside, "the templates are looked for in the wrong folder"
