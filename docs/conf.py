"""Sphinx reads the Markdown pages of this folder: `make docs`."""

import re
from pathlib import Path

project = "slt_zoo"
author = "The slt_zoo developers"
release = re.findall(r'__version__ = "(.+)"', (Path(__file__).parents[1] / "slt_zoo" / "_version.py").read_text())[0]

extensions = ["myst_parser"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = f"slt_zoo {release}"
