"""Submissions against the machine that grades, besides honest work: loops, greed, exits."""

import sys

from hostile import Case, spy

# Later Pythons count the calls of C code as well, and stop in time.
TOO_DEEP = {"says": "cell 4 "} if sys.version_info < (3, 12) else {"told": "RecursionError"}

HONEST = (
    Case("right", 7),
    Case("tuple", 7, answers={"running_sum": "def running_sum(numbers):\n"
         "    return tuple(sum(numbers[:n + 1]) for n in range(len(numbers)))"}),
    Case("partly", 4, told="The sum is not divided by how many numbers there are.",
         answers={"mean_square": "def mean_square(numbers):\n    return sum(x * x for x in numbers)"}),
    Case("stub", 0, told="Not written yet", answers={
        name: f"def {name}(numbers):\n    raise NotImplementedError()" for name in ("mean_square", "running_sum")}),
    Case("one-bug", 4, told="has shape (5,)", answers={"running_sum": "def running_sum(numbers):\n    sums = [0]\n"
         "    for x in numbers:\n        sums.append(sums[-1] + x)\n    return sums"}),
    Case("warns", 7, answers={"mean_square": "import sys, warnings, logging\ndef mean_square(numbers):\n"
         "    warnings.warn('deprecated')\n    print('careful', file=sys.stderr)\n    logging.error('still right')\n"
         "    return sum(x * x for x in numbers) / len(numbers)"}),
    Case("asks", 3, told="StdinNotImplementedError",
         answers={"mean_square": "def mean_square(numbers):\n    return float(input('the answer? '))"}),
    Case("syntax", 3, told="NameError", answers={"mean_square": "def mean_square(numbers:\n    return 1"}),
    Case("prints", 7, cell="for n in range(1000):\n    print('x' * 1000)"),
    Case("slow", 7, cell="import time\nend = time.process_time() + 0.6\nwhile time.process_time() < end:\n    pass"),
    Case("helper", 7, cell="def square(x):\n    return x * x", answers={
        "mean_square": "def mean_square(numbers):\n    return sum(map(square, numbers)) / len(numbers)"}),
)  # fmt: skip

LOOPS = (
    Case("plain", 7, says="cell 3 took too long and was interrupted", cell="while True:\n    pass"),
    Case("stubborn", 7, says="could not be interrupted", cell="""
while True:
    try:
        while True:
            pass
    except BaseException:
        continue
"""),
    Case("power", 7, says="cell 3", cell="x = 3 ** (2 * 10 ** 8)"),
    Case("regex", 7, says="cell 3 took", cell="import re\nre.match(r'(a+)+$', 'a' * 60 + 'b')"),
    Case("thread", 7, cell="""
import threading
def burn():
    while True:
        pass
threading.Thread(target=burn).start()
"""),
    Case("sleep", 7, says="took too long", cell="import time\ntime.sleep(1000)"),
    Case("probe", 3, says="could not be interrupted", told="It took too long and was interrupted.",
         answers={"mean_square": "def mean_square(numbers):\n    while True:\n        pass"}),
    Case("end", 7, says="cell 3 took", cell="""
import atexit
class Last:
    def __del__(self):
        while True:
            pass
atexit.register(lambda: [None for _ in iter(int, 1)])
last = Last()
del last
"""),
)  # fmt: skip

RESOURCES = (
    spy("processes", """
import subprocess, time
children = []
try:
    for _ in range(80):
        children.append(subprocess.Popen(["sleep", "4"]))
except OSError:
    pass
seen = len(children) < 45
for child in children:
    child.kill()
    child.wait()
""", told="saw True"),
    Case("forks", 7, says="of memory", cell="""
import os, time
for _ in range(30):
    if os.fork() == 0:
        time.sleep(4)
        os._exit(0)
time.sleep(4)
"""),
    Case("memory", 7, says="more than 300 MB of memory", cell="""
import time
blocks = []
for _ in range(20):
    blocks.append(bytearray(b"x" * 50_000_000))
    time.sleep(0.05)
"""),
    spy("uncounted", """
import ctypes, os, subprocess
def tried(function):
    try:
        return function()
    except OSError as error:
        return "refused"
def memory_files():
    files = [os.memfd_create("x") for _ in range(40)]
    return sum(os.write(file, bytes(9_000_000)) for file in files)
segment = ctypes.CDLL(None).shmget(0, 50_000_000, 0o1600)
mount = "mkdir /tmp/m && mount -t tmpfs -o size=200m none /tmp/m && echo mounted"
space = subprocess.run(["unshare", "-Urm", "sh", "-c", mount], capture_output=True, text=True).stdout
seen = tried(memory_files), segment, space
""", told="saw ('refused', -1, '')"),
    Case("output", 7, says="printed or showed more than 2 MB", cell="""
import time
print("x" * 3_000_000)
for _ in range(200):
    print("x" * 100_000, flush=True)
time.sleep(4)
"""),
    spy("large-file", """
seen = 0
try:
    with open("/tmp/large", "wb", buffering=0) as file:
        while seen < 300_000_000:
            seen += file.write(bytes(1_000_000))
except OSError:
    seen = seen <= 10_000_000
""", told="saw True"),
    spy("small-files", """
import os
from ipykernel.connect import get_connection_file
seen = []
for folder in ("/tmp", "/work", "/dev/shm", os.path.dirname(get_connection_file())):
    total = 0
    try:
        for n in range(70):
            with open(f"{folder}/file{n}", "wb") as file:
                total += file.write(bytes(1_000_000))
    except OSError:
        pass
    seen.append(total < 25_000_000)
""", told="saw [True, True, True, True]"),
    spy("threads", """
import threading, time
made = 0
try:
    for _ in range(120):
        threading.Thread(target=time.sleep, args=(3,), daemon=True).start()
        made += 1
except RuntimeError:
    pass
seen = made < 45
time.sleep(3.2)
""", told="saw True"),
    Case("recursion", 3, **TOO_DEEP, answers={"mean_square": """
import sys
def mean_square(numbers):
    sys.setrecursionlimit(10 ** 9)
    nested = []
    for _ in range(100_000):
        nested = [nested]
    return repr(nested)
"""}),
    Case("huge-int", 3, told="whole number of", cell="print(10 ** 5000)",
         answers={"mean_square": "def mean_square(numbers):\n    return 10 ** 5000"}),
    Case("huge-answer", 3, told="more than 10000 numbers",
         answers={"mean_square": "def mean_square(numbers):\n    return [1.5] * 10 ** 6"}),
    Case("huge-forgeries", 7, says="printed or showed more than 2 MB", cell="""
import time
from IPython.display import publish_display_data
for n in range(200):
    answer = {"name": f"n{n}", "value": [1.5] * 100_000}
    publish_display_data({"application/vnd.papertrail.probe+json": answer})
time.sleep(4)
"""),
)  # fmt: skip

KILLED = "ended its kernel"
EXITS = (
    Case("sys-exit", 3, told="SystemExit",
         answers={"mean_square": "import sys\ndef mean_square(numbers):\n    sys.exit(0)"}),
    Case("hard-exit", 3, KILLED, answers={"mean_square": "import os\ndef mean_square(numbers):\n    os._exit(0)"}),
    Case("own-kernel", 7, KILLED, cell="import os\nos.kill(os.getpid(), 9)"),
    # Only the canary process of the test is in danger here, should the sandbox not hold.
    Case("others", 7, KILLED, cell="""
import os
for pid in [name for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]:
    try:
        with open(f"/proc/{pid}/cmdline") as file:
            if MARKER in file.read():
                os.kill(int(pid), 9)
    except OSError:
        pass
try:
    os.kill(CANARY_PROCESS, 9)
except OSError:
    pass
os.kill(os.getppid(), 9)
os.kill(os.getpid(), 9)
"""),
    Case("daemon", 7, cell="""
import os, subprocess, sys
late = f"import time; time.sleep(60)  # {MARKER}"
for _ in range(3):
    subprocess.Popen([sys.executable, "-c", late], start_new_session=True)
"""),
    Case("other-program", 7, "could not be interrupted", cell="""
import os
os.execve("/usr/bin/sleep", ["sleep", "60"], {"M": MARKER})
"""),
    Case("files-closed", 7, KILLED, cell="import os\nos.closerange(0, 256)"),
    Case("segfault", 7, KILLED, cell="import ctypes\nctypes.string_at(0)"),
    Case("twice", 3, KILLED, cell="import os\nos.abort()", answers={
        "mean_square": "import ctypes\ndef mean_square(numbers):\n    ctypes.string_at(0)"}),
)  # fmt: skip
