"""Find bubblewrap, which student code is graded in, or install it; else say what to do. Standard library only."""

import os
import shutil
import subprocess

BY_HAND = (
    "install the package bubblewrap with this machine's package manager "
    "(Linux only; macOS and Windows need a Linux machine)"
)


def get_bubblewrap() -> str:
    """The path of bwrap.

    Raises:
        RuntimeError: there is none and none could be installed; the message says what to do.
    """
    if found := shutil.which("bwrap"):
        return found
    said = []
    if shutil.which("apt-get"):
        sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
        for arguments in (["update", "-qq"], ["install", "-y", "-qq", "bubblewrap"]):
            result = subprocess.run([*sudo, "apt-get", *arguments], capture_output=True, text=True)
            said.append(f"apt-get {arguments[0]}: exit {result.returncode}")
    if found := shutil.which("bwrap"):
        return found
    raise RuntimeError(f"bubblewrap is missing; {BY_HAND}" + (f" (tried: {'; '.join(said)})" if said else ""))


if __name__ == "__main__":
    try:
        print(f"sandbox for student code: {get_bubblewrap()}")
    except (RuntimeError, OSError) as error:
        raise SystemExit(f"bubblewrap.py: {error}") from None
