"""Print pip constraints that hold each dependency of pyproject.toml at its lower bound: ``a>=2.8`` to ``a==2.8``."""

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
for requirement in project["dependencies"]:
    bound = re.fullmatch(r"([\w.-]+)(?:\[.*\])?>=([\d.]+)", requirement)
    if bound is None:
        sys.exit(f"{requirement!r} has no plain lower bound")
    sys.stdout.write(f"{bound[1]}=={bound[2]}\n")
