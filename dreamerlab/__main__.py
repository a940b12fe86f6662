"""`python -m dreamerlab` is the `dreamerlab` command."""

from __future__ import annotations

import sys

from dreamerlab.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
