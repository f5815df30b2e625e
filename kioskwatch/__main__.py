"""`python -m kioskwatch`, for a machine where the script is not on PATH."""

import sys

from kioskwatch.cli import main

if __name__ == "__main__":
    sys.exit(main())
