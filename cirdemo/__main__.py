"""`python -m cirdemo`."""

import sys

from cirdemo.cli import main

sys.exit(main())
