"""The command, as a module: ``python -m quoth.testing.wire DIR``."""

import sys

from ._command import main

if __name__ == "__main__":
    sys.exit(main())
