"""Try other releases of what the course pins: newer ones, or the neighbors of one package.

    .venv/bin/python tools/newer.py --outdated            a JSON list of "name==newest" for pins that are behind
    .venv/bin/python tools/newer.py torch==2.14.1         the tests with this release in place of the pinned one

The second makes an environment of its own in .newer, installs the locked set, then the named releases with what
they need, builds the site there and runs the tests. The pins stay as they are: what this says is what a change of
them would meet. The weekly workflow runs both.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / ".newer"  # not in _build, which a cold build removes
FILES = ("requirements.txt", "requirements-dev.txt")
NAME = re.compile(r"([A-Za-z0-9._-]+)==([^\s#;]+)")
# What another release breaks shows in these: the chapters' code, their notebooks and pages.
TESTS = ("tests/architecture_diagram", "tests/layer_norm_placement", "tests/fast_weights", "tests/ulmfit",
         "tests/gopher", "tests/scan_and_snap", "tests/book", "tests/site/test_site.py", "book")  # fmt: skip


def normalized(name: str) -> str:
    """A package's name as the index compares it: "PyYAML" and "pyyaml" are one."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned() -> dict[str, str]:
    """The direct pins: normalized name -> version."""
    found = {}
    for file in FILES:
        for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
            if match := NAME.match(line.strip()):
                found[normalized(match[1])] = match[2]
    return found


def outdated() -> list[str]:
    """The direct pins that have a newer release, as "name==newest"; asks the package index."""
    command = [sys.executable, "-m", "pip", "list", "--outdated", "--format", "json"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    pins = pinned()
    return sorted(
        f"{normalized(row['name'])}=={row['latest_version']}"
        for row in json.loads(listed)
        if normalized(row["name"]) in pins
    )


def commands(releases: list[str]) -> list[list[str]]:
    """What has to be run, in order, to try these releases."""
    python = str(PLACE / "bin" / "python")
    return [
        [sys.executable, "-m", "venv", "--clear", str(PLACE)],
        [python, "tools/install.py", "test"],
        [python, "-m", "pip", "install", "--quiet", *releases],
        [python, "-m", "pip", "freeze", "--exclude-editable"],
        [python, "tools/browser.py"],
        [python, "tools/build.py", "--cold"],
        [python, "-m", "pytest", "-q", "-n", "2", "--dist", "loadfile", "-m", "not long", *TESTS],
    ]


def main(arguments: list[str]) -> int:
    """Run the command line; returns the exit status of the first step that fails, else 0."""
    if arguments == ["--outdated"]:
        print(json.dumps(outdated()))
        return 0
    pins = pinned()
    wrong = [one for one in arguments if (m := NAME.fullmatch(one)) is None or normalized(m[1]) not in pins]
    if wrong or not arguments:
        given = ", ".join(wrong) or "nothing"
        print(f"newer.py: got {given}; allowed are --outdated, or NAME==VERSION of {', '.join(sorted(pins))}",
              file=sys.stderr)  # fmt: skip
        return 2
    for command in commands(arguments):
        print("$ " + " ".join(command[1:]), flush=True)
        if status := subprocess.call(command, cwd=ROOT):
            print(f"newer.py: {' '.join(arguments)}: this step failed with exit {status}", file=sys.stderr)
            return status
    print(f"newer.py: {' '.join(arguments)}: everything passes")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
