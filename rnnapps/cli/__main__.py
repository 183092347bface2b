"""`python -m rnnapps.cli`."""

import sys

from rnnapps.cli import main

sys.exit(main())
