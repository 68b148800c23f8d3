"""Submissions that try to score with wrong answers: by tampering with what grades them, and by odd answers."""

from hostile import WRONG, Case, cheat
from hostile_course import CANARY
from small_course import RIGHT

MIME = "application/vnd.papertrail.probe+json"
NAMES = ("five numbers", "one number", "four numbers", "an empty list")
# Sends answers by hand. The values are guesses: a right one can only be had by computing it.
FORGE = f"""
from IPython.display import publish_display_data
def forge(value=7.0, names={NAMES!r}):
    for name in names:
        publish_display_data({{{MIME!r}: {{"name": name, "value": value, "points": 1000, "passed": True, "score": 7,
                              "expected": value, "tolerance": 1e9, "worth": 1000}}}})
"""
PUBLISHED = {  # right for the seed "public", which everybody knows
    "mean_square": "def mean_square(numbers):\n    return {5: PUBLIC[0], 1: PUBLIC[1]}[len(numbers)]",
    "running_sum": "def running_sum(numbers):\n    return PUBLIC[2]",
}

TAMPERING = (
    cheat("probe", FORGE + """
from papertrail.coursework import probes
probes.probe = lambda name, *rest, **more: forge(7.0, [name])
probes.draw_int = lambda *rest: 1
"""),
    cheat("modules", FORGE + """
import sys, types
fake = types.ModuleType("papertrail.coursework.probes")
fake.draw_int, fake.draw = (lambda *rest: 0), (lambda *rest: 0)
fake.probe = lambda name, function, **more: forge(function(), [name])
sys.modules["papertrail.coursework.probes"] = fake
sys.modules["papertrail.coursework"].probes = fake
""", answers={"mean_square": "def mean_square(numbers):\n    return 0.0"}),
    cheat("builtins", """
import builtins, math
builtins.abs = builtins.round = builtins.sum = lambda *rest: 0
math.isfinite = math.isclose = lambda *rest, **more: True
"""),
    cheat("display", FORGE + """
import IPython.display
from IPython import get_ipython
send = get_ipython().display_pub.publish
def publish(data, *rest, **more):
    for value in data.values():
        if isinstance(value, dict):
            value.update(value=7.0, points=1000, tolerance=1e9)
            value.pop("error", None)
    return send(data, *rest, **more)
get_ipython().display_pub.publish = publish
IPython.display.publish_display_data = publish
"""),
    cheat("json", """
import json
from IPython import get_ipython
session = get_ipython().kernel.session
pack = session.pack
session.pack = lambda message: pack(message).replace(b"-1.5", b"7.0").replace(b"1e-06", b"1e9")
json.dumps = lambda *rest, **more: '{"value": true}'
"""),
    cheat("lying-objects", """
class Any(float):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __le__(self, other): return True
    def __lt__(self, other): return True
    def __sub__(self, other): return 0.0
    __rsub__ = __abs__ = __sub__
    __hash__ = float.__hash__
class Every(list):
    def __eq__(self, other): return True
    def __len__(self): return 4
    def tolist(self): return [Any(1)] * 4
""", answers={"mean_square": "def mean_square(numbers):\n    return Any(1)",
              "running_sum": "def running_sum(numbers):\n    return Every([Any(1)] * 4)"}),
    cheat("forged", FORGE + "forge()\nprint('7 of 7 points')\n", after=FORGE + "forge()\n1.0"),
    cheat("forged-within", told="answered more than once", answers={
        "mean_square": FORGE + "def mean_square(numbers):\n    forge()\n"
                       "    return sum(x * x for x in numbers) / len(numbers)",
        "running_sum": "def running_sum(numbers):\n    forge([1.0])\n    return [1.0]"}),
    cheat("many", FORGE + "for n in range(120):\n    forge(float(n))",
          answers={"mean_square": "def mean_square(numbers):\n"
                   "    for n in range(120):\n        forge(float(n))\n    return 1.0"}),
    cheat("partial-credit", cell="7.0", after="7.0",
          answers={"mean_square": WRONG["mean_square"] + "\n    # points=1000\n7.0"}),
    cheat("frames", told="Is every number squared?", answers={"mean_square": """
import gc, sys
def mean_square(numbers):
    frame, best = sys._getframe(), None
    while frame:
        for name, value in {**frame.f_globals, **frame.f_locals}.items():
            if name in ("expected", "right", "reference", "answer", "solution", "value"):
                best = value if isinstance(value, (int, float)) else best
        frame = frame.f_back
    for one in gc.get_objects():
        if isinstance(one, dict) and "mistakes" in one and "value" in one:
            best = one["value"]
    return 5.5 if best is None else best
"""}),
    cheat("constant-draws", """
import hashlib, os, random
class Fixed:
    def __init__(self, *rest): pass
    def digest(self): return b"\\0" * 32
    def hexdigest(self): return "0" * 64
hashlib.sha256 = Fixed
random.seed(0)
random.randint = lambda *rest: 1
from papertrail.coursework import probes
probes.seed_of = lambda name: 0
""", answers={"mean_square": "def mean_square(numbers):\n    return 9.0 if len(numbers) > 1 else 4.0"}),
    cheat("seed", """
import os
os.environ["PAPERTRAIL_SEED"] = "public"
""", told="Is every number squared?", answers=PUBLISHED),
    cheat("no-seed", "import os\ndel os.environ['PAPERTRAIL_SEED']", told="No answer came", answers=RIGHT),
    cheat("hooks", FORGE + """
from IPython import get_ipython
def again(*rest):
    forge()
for event in ("pre_execute", "pre_run_cell", "post_execute", "post_run_cell"):
    get_ipython().events.register(event, again)
"""),
    cheat("history", after=f"""
from IPython import get_ipython
{RIGHT["mean_square"]}
{RIGHT["running_sum"]}
for source in list(In):
    if "probe(" in source and "get_ipython" not in source:
        get_ipython().run_cell(source)
In[:] = [""] * len(In)
Out.clear()
Out[1] = 7.0
"""),
    cheat("remembers", answers={"mean_square": """
kept = []
def mean_square(numbers):
    kept.append(list(numbers))
    return 0.5
"""}, after=f"{RIGHT['mean_square']}\n" + FORGE + "for one in kept:\n    forge(mean_square(one))"),
    cheat("forged-messages", FORGE + """
import threading, time
from IPython import get_ipython
from ipykernel.connect import get_connection_info
kernel, key = get_ipython().kernel, get_connection_info(unpack=True)["key"]
kernel.session.key = key if isinstance(key, bytes) else key.encode()
def send_on(kind, content):
    kernel.session.send(kernel.iopub_socket, kind, content, parent=kernel.get_parent(), ident=kind.encode())
def meddle():
    for _ in range(40):
        send_on("display_data", {"data": {"application/vnd.papertrail.probe+json": 
                                          {"name": "five numbers", "value": 7.0}}, "metadata": {}})
        time.sleep(0.05)
threading.Thread(target=meddle, daemon=True).start()
""", answers={"mean_square": "def mean_square(numbers):\n"
              "    send_on('status', {'execution_state': 'idle'})\n    return 7.0"}),
    Case("no-messages", 7, "sent what is no message", cell="""
import time
from IPython import get_ipython
kernel = get_ipython().kernel
kernel.iopub_socket.send_multipart([b"this is no message"])
time.sleep(0.3)
"""),
    Case("odd-messages", 7, "sent what is no message", cell="""
import json, time
from IPython import get_ipython
from IPython.display import publish_display_data
session = get_ipython().kernel.session
pack = session.pack
odd = [b"[" * 200_000 + b"]" * 200_000, b'{"data": ' + b"9" * 9000 + b"}"]
session.pack = lambda part: odd.pop() if isinstance(part, dict) and "data" in part and odd else pack(part)
for _ in range(2):
    publish_display_data({"text/plain": "x"})
time.sleep(0.3)
"""),
    # What a cell is given to compute it can tell: the inputs. What is right is not there to be told.
    Case("tells-inputs", 4, told="It stopped with RuntimeError: " + CANARY, answers={"running_sum": """
def running_sum(numbers):
    cell = next(one for one in In if "probe(" in one)
    raise RuntimeError(cell[cell.index("".join(CANARY)):])
"""}),
)  # fmt: skip

ANSWERS = (
    Case("nan", 3, told="NaN or infinity", answers={"mean_square": "def mean_square(numbers):\n"
         "    return float('nan') if len(numbers) > 1 else float('inf')"}),
    cheat("raw-nan", """
from IPython import get_ipython
session = get_ipython().kernel.session
pack = session.pack
session.pack = lambda message: pack(message).replace(b"-1.5", b"NaN")
""", told="NaN or infinity"),
    Case("public", 0, told="Is every number squared?", answers=PUBLISHED),
    Case("texts", 0, answers={
        "mean_square": "def mean_square(numbers):\n    return str(sum(x * x for x in numbers) / len(numbers))",
        "running_sum": "def running_sum(numbers):\n    return str(numbers)"}),
    Case("bools", 0, answers={"mean_square": "def mean_square(numbers):\n    return True",
                              "running_sum": "def running_sum(numbers):\n    return [True] * 4"}),
    Case("huge", 3, told="Is every number squared?",
         answers={"mean_square": "def mean_square(numbers):\n    return 10 ** 1000"}),
    Case("nested", 3, told="nested more than", answers={"mean_square": "def mean_square(numbers):\n"
         "    value = 1.0\n    for _ in range(50):\n        value = [value]\n    return value"}),
    Case("endless", 3, told="nested more than", answers={
        "mean_square": "def mean_square(numbers):\n    value = []\n    value.append(value)\n    return value"}),
    Case("library", 3, told="asks you to write it yourself", answers={
        "mean_square": "import statistics\ndef mean_square(numbers):\n"
                       "    return statistics.fmean([x * x for x in numbers])"}),
    Case("library-elsewhere", 3, told="asks you to write it yourself", cell="from statistics import fmean as mean",
         answers={"mean_square": "def mean_square(numbers):\n    return mean([x * x for x in numbers])"}),
    Case("dict", 3, told="is not a regular array", answers={
        "mean_square": "def mean_square(numbers):\n    return {'value': sum(x * x for x in numbers) / len(numbers)}"}),
    Case("wrapped", 0, answers={
        "mean_square": "def mean_square(numbers):\n    return [sum(x * x for x in numbers) / len(numbers)]",
        "running_sum": "def running_sum(numbers):\n    return [[sum(numbers[:n + 1]) for n in range(len(numbers))]]"}),
    Case("misbehaves", 3, told="an error without a name", answers={"mean_square": """
class Rude(BaseException):
    def __str__(self):
        raise Rude
class Named(type):
    @property
    def __name__(cls):
        raise Rude
class Worse(Rude, metaclass=Named):
    pass
def mean_square(numbers):
    raise Worse
"""}),
)  # fmt: skip
