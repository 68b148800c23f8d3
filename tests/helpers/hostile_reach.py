"""Submissions that reach for what is not theirs: files to read, places to write to, the network."""

from hostile import Case, spy
from hostile_machine import KILLED

# Reads files that are named, and those below folders that are named, and keeps what holds a canary.
READER = """
import os
import sys
found = []
def look(path):
    try:
        with open(path, "rb") as file:
            content = file.read(1_000_000)
    except (OSError, ValueError):
        return
    at = content.find("".join(CANARY).encode())
    if at >= 0:
        found.append(content[at:at + 60].decode(errors="replace"))
def walk(folder, skipped=()):
    for place, folders, names in os.walk(folder):
        paths = [os.path.join(place, name) for name in folders]
        folders[:] = [os.path.basename(path) for path in paths
                      if path not in skipped and os.path.realpath(path) != sys.base_prefix][:300]
        for name in names[:300]:
            look(os.path.join(place, name))
"""
SEEN = "\nprint(found)\nseen = found\n"
READS = (
    spy("disk", READER + """
skipped = ("/proc", "/sys", "/env", "/usr", "/dev", "/lib", "/lib64", "/bin", sys.base_prefix, ENVIRONMENT)
walk("/", skipped)
""" + SEEN, told="saw []"),
    spy("course", READER + """
walk(COURSE)
for step in ("..", "../..", "../../coursework", "../../../coursework", "coursework", "/coursework"):
    walk(step, ("/work/../usr", "/work/../proc", "../usr", "../proc", "../env", "../sys", "../root", "../dev",
                "../../usr", "../../proc", "../../env", "../../sys", "../../root", "../../dev"))
for name in ("secret", "gradebook.db", "expected/sums.json", "source/sums/sums.ipynb",
             "submitted/honest-right/sums/sums.ipynb", "results/sums/honest-right.json", "roster.csv"):
    look(f"{COURSE}/{name}")
    if os.path.exists(f"{COURSE}/{name}"):
        found.append(name)
""" + SEEN, told="saw []"),
    spy("proc", READER + """
for pid in [name for name in os.listdir("/proc") if name.isdigit()] + ["self"]:
    for part in ("environ", "cmdline", "cwd/secret", f"root{COURSE}/secret", f"root{COURSE}/expected/sums.json"):
        look(f"/proc/{pid}/{part}")
        if part.startswith(("root", "cwd")) and os.path.exists(f"/proc/{pid}/{part}"):
            found.append(part)
    try:
        for handle in os.listdir(f"/proc/{pid}/fd"):
            if os.path.isfile(f"/proc/{pid}/fd/{handle}"):
                look(f"/proc/{pid}/fd/{handle}")
    except OSError:
        pass
try:
    with open("/proc/1/maps") as maps, open("/proc/1/mem", "rb", buffering=0) as memory:
        for line in maps:
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            if any(name in line for name in ("[heap]", "[stack]")):
                memory.seek(start)
                content = memory.read(end - start)
                at = content.find("".join(CANARY).encode())
                found += [content[at:at + 60].decode(errors="replace")] if at >= 0 else []
except OSError:
    pass
""" + SEEN, told="saw []"),
    spy("home", READER + """
walk(HOME)
walk("/root", (sys.base_prefix,))
walk("/home")
walk(os.path.expanduser("~"))
found += [value for value in os.environ.values() if "".join(CANARY) in value]
""" + SEEN, told="saw []"),
    spy("other-kernels", READER + """
import glob
from ipykernel.connect import get_connection_file
own = os.path.dirname(os.path.dirname(get_connection_file()))
around = glob.glob(os.path.dirname(own) + "/*") + glob.glob("/tmp/pt-*")
found += [path for path in around if path != own]
found += [path for path in glob.glob(own + "/*") if path != os.path.dirname(get_connection_file())]
""" + SEEN, told="saw []"),
    spy("links", READER + """
for name in ("source/sums/sums.ipynb", "expected/sums.json", "secret"):
    os.symlink(f"{COURSE}/{name}", f"/work/{os.path.basename(name)}")
    look(f"/work/{os.path.basename(name)}")
for name in ("expected", "comparison", "assignment"):
    try:
        __import__(f"papertrail.coursework.{name}")
        found.append(name)
    except ImportError:
        pass
""" + SEEN, told="saw []"),
)  # fmt: skip

WRITER = """
import os
def mark(path):
    try:
        with open(path, "a") as file:
            file.write(MARKER)
    except OSError:
        pass
"""
WRITES = (
    Case("course", 7, cell=WRITER + """
import sqlite3
for name in ("gradebook.db", "roster.csv", "secret", "expected/sums.json", "source/sums/sums.ipynb", MARKER,
             "release/sums/sums.ipynb", "submitted/honest-right/sums/sums.ipynb", "results/sums/honest-right.json"):
    mark(f"{COURSE}/{name}")
try:
    with sqlite3.connect(f"{COURSE}/gradebook.db") as book:
        book.execute("update grade set manual_score = 7")
except sqlite3.Error:
    pass
"""),
    Case("environment", 7, cell=WRITER + """
import glob, sysconfig
from papertrail.coursework import probes
mark(probes.__file__)
for folder in (os.path.dirname(probes.__file__), sysconfig.get_path("purelib"), sysconfig.get_path("stdlib"),
               "/env/bin", ENVIRONMENT, *glob.glob(f"{ENVIRONMENT}/lib/*/site-packages"), "/probes"):
    mark(f"{folder}/{MARKER}.pth")
"""),
    Case("system", 7, cell=WRITER + """
import subprocess
for folder in ("", "/usr", "/usr/bin", "/usr/lib", "/etc", "/dev", "/root", "/home", "/var/tmp", "/opt", HOME):
    mark(f"{folder}/{MARKER}")
for options in (["-o", "remount,rw", "/"], ["-o", "remount,rw", "/usr/bin"], ["-t", "tmpfs", "none", "/usr"]):
    subprocess.run(["mount", *options], capture_output=True)
mark(f"/usr/bin/{MARKER}")
mark("/proc/sys/kernel/core_pattern.canary")
"""),
    # The grader writes a new connection file for the next kernel, and gives it away: not through a link, please.
    Case("links", 7, KILLED, cell=WRITER + """
import subprocess, sys
from ipykernel.connect import get_connection_file
file = get_connection_file()
for name in (file, os.path.dirname(file) + "/k-1", os.path.join("/work", "link"), "/tmp/link"):
    if os.path.exists(name):
        os.unlink(name)
    os.symlink(f"{COURSE}/gradebook.db", name)
    mark(name)
os.makedirs(os.path.dirname(file) + "/folder/in/folder")
os._exit(0)
"""),
    Case("late", 7, KILLED, cell=WRITER + """
from ipykernel.connect import get_connection_file
file = get_connection_file()
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        for _ in range(2_000_000):
            try:
                os.symlink(f"{COURSE}/roster.csv", file)
            except OSError:
                pass
        os._exit(0)
os.unlink(file)
os._exit(0)
"""),
)  # fmt: skip

NETWORK = (
    spy("tcp", """
import socket
seen = []
for host in ("127.0.0.1", "localhost", "0.0.0.0", "::1", "10.0.0.1"):
    try:
        socket.create_connection((host, PORTS["tcp"]), 0.5)
        seen.append(host)
    except OSError:
        pass
""", told="saw []"),
    spy("udp", """
import socket
seen = []
one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
one.settimeout(0.3)
for host in ("127.0.0.1", "255.255.255.255"):
    try:
        one.sendto(b"canary", (host, PORTS["udp"]))
    except OSError:
        seen.append("refused")
""", told="saw "),
    spy("names", """
import socket, urllib.request
seen = []
for look in (lambda: socket.getaddrinfo("papertrail-canary.invalid", 80),
             lambda: urllib.request.urlopen(f"http://127.0.0.1:{PORTS['tcp']}/", timeout=1)):
    try:
        seen.append(str(look()))
    except OSError:
        pass
""", told="saw []"),
    spy("unix", """
import glob, socket
seen = []
for address in (SOCKET, "\\0" + MARKER, "/run/docker.sock", "/var/run/dbus/system_bus_socket"):
    one = socket.socket(socket.AF_UNIX)
    try:
        one.connect(address)
        seen.append(address)
    except OSError:
        pass
""", told="saw []"),
    spy("netlink", """
import socket
seen = [name for _, name in socket.if_nameindex()]
for family, kind, protocol in ((socket.AF_PACKET, socket.SOCK_RAW, 3), (socket.AF_INET, socket.SOCK_RAW, 1)):
    try:
        socket.socket(family, kind, protocol)
        seen.append("raw")
    except OSError:
        pass
""", told="saw ['lo']"),
)  # fmt: skip
