"""The Transformer Paper Trail: the modules behind the course's chapters.

Importing this package before torch gives torch one passive thread, unless the environment already says
otherwise: on two shared cores, spinning threads made small kernels 7 to 200 times slower.
"""

import os
import sys

__version__ = "1.0.0"

if "torch" not in sys.modules:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
