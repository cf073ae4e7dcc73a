"""``python -m slt_zoo``: the same as ``slt-zoo``."""

import sys

from slt_zoo.cli import main

sys.exit(main())
