"""Find a browser for the site's tests, or get one: the system's Chromium, Playwright's, Debian's; else say so."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
# The last three keep the browser from looking up its maker's hosts: what the tests watch is the pages' own traffic.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def system_browser() -> str | None:
    """The browser named in PAPERTRAIL_BROWSER, else the first of NAMES that is installed, else None."""
    chosen = os.environ.get("PAPERTRAIL_BROWSER")
    return chosen or next((found for name in NAMES if (found := shutil.which(name))), None)


def playwright_browser() -> str | None:
    """The Chromium that Playwright has downloaded, or None."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        path = driver.chromium.executable_path
    return path if Path(path).exists() else None


def get_browser() -> str:
    """The path of a Chromium.

    Raises:
        RuntimeError: there is none and none could be installed; the message says what was tried.
    """
    if found := system_browser() or playwright_browser():
        return found
    attempts = [[sys.executable, "-m", "playwright", "install", "--with-deps", "chromium"]]
    if shutil.which("apt-get"):
        sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
        attempts += [
            [*sudo, "apt-get", "update", "-qq"],
            [*sudo, "apt-get", "install", "-y", "-qq", "chromium"],
        ]
    said = []
    for attempt in attempts:
        try:
            result = subprocess.run(attempt, capture_output=True, text=True, timeout=600)
            said.append(f"{' '.join(attempt[-4:])}: exit {result.returncode}")
        except (OSError, subprocess.TimeoutExpired) as error:
            said.append(f"{' '.join(attempt[-4:])}: {error}")
        if found := system_browser() or playwright_browser():
            return found
    raise RuntimeError("no Chromium found and none could be installed; tried: " + "; ".join(said))


if __name__ == "__main__":
    try:
        print(f"browser for the site's tests: {get_browser()}")
    except RuntimeError as error:
        raise SystemExit(f"browser.py: {error}") from None
