"""`python -m genomamba`, for where the `genomamba` script is not on the PATH."""

import sys

from genomamba.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
