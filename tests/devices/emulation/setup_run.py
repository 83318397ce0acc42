"""Run as a program: set a profile up, under limits that a test names. usage: setup_run.py PROFILE [FILE_BYTES]

Prints a stage a line, and at the end `ready`, or the error's kind, message and reason.
"""

import resource
import signal
import sys

from mlpack_edge.core.errors import MlpackError
from mlpack_edge.devices.emulation.boards import profile_named
from mlpack_edge.devices.emulation.setup import setup

if len(sys.argv) > 2:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    print(setup(profile_named(sys.argv[1]), lambda stage: print(stage, flush=True)).state)
except MlpackError as fault:
    print(f"{fault.kind}: {fault.message}: {fault.why}: {fault.hint}")
