"""Pack the built site into a zip that opens without a network (`make zip`): unpack it and open index.html.

.venv/bin/python tools/zip_site.py [--site FOLDER] [--out FILE]

The same site gives the same bytes: names are sorted, dates are fixed, and nothing of this machine is in it.
"""

import argparse
import sys
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from papertrail import __version__

ROOT = Path(__file__).resolve().parent.parent
DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that the format knows
LEFT_OUT = (".buildinfo", "*.map")  # what only the builder reads, and what only a debugger asks for


def files_of(site: Path) -> list[Path]:
    """The files that go into the zip, sorted by their path in it.

    Raises:
        FileNotFoundError: there is no built site.
    """
    if not (site / "index.html").exists():
        raise FileNotFoundError(f"site: {site} has no index.html; run `make book` first")
    files = (path for path in site.rglob("*") if path.is_file())
    kept = (path for path in files if not any(path.match(pattern) for pattern in LEFT_OUT))
    return sorted(kept, key=lambda path: path.relative_to(site).as_posix())


def zip_site(site: Path, out: Path) -> None:
    """Write the site into a zip, under one folder that has the zip's name; a zip that fails halfway leaves nothing.

    Raises:
        FileNotFoundError: as `files_of`.
    """
    files, draft = files_of(site), out.with_name(f"{out.name}.part")
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with ZipFile(draft, "w") as archive:
            for path in files:
                entry = ZipInfo(f"{out.stem}/{path.relative_to(site).as_posix()}", DATE)
                entry.compress_type, entry.create_system, entry.external_attr = ZIP_DEFLATED, 3, 0o644 << 16
                archive.writestr(entry, path.read_bytes(), compresslevel=9)
        draft.replace(out)
    finally:
        draft.unlink(missing_ok=True)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--site", type=Path, default=ROOT / "_build" / "html", help="the built site")
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / f"paper-trail-{__version__}.zip")
    options = parser.parse_args(arguments)
    try:
        zip_site(options.site, options.out)
    except OSError as error:
        print(f"zip_site.py: {error}", file=sys.stderr)
        return 1
    print(f"The course offline: {options.out} ({options.out.stat().st_size / 1e6:.1f} MB)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
