"""The class of hostile submissions: all cases by category, and the downloads that a learning platform would give."""

import zipfile
from dataclasses import replace
from pathlib import Path

from hostile import World
from hostile_cheats import ANSWERS, TAMPERING
from hostile_files import FILES, SURGERY
from hostile_machine import EXITS, HONEST, LOOPS, RESOURCES
from hostile_reach import NETWORK, READS, WRITES

CATEGORIES = {
    "honest work": HONEST,
    "loops without end": LOOPS,
    "resources": RESOURCES,
    "exits and kills": EXITS,
    "reads": READS,
    "writes": WRITES,
    "network": NETWORK,
    "tampering": TAMPERING,
    "answers": ANSWERS,
    "surgery on notebooks": SURGERY,
    "files": FILES,
}
CASES = [replace(case, category=category) for category, cases in CATEGORIES.items() for case in cases]
LINK = 0o120777 << 16  # how a zip says that a member is a symbolic link


def write_folder(folder: Path, world: World) -> None:
    """The download of the first day."""
    for case in CASES:
        if case.zipped:
            continue
        path = folder / case.place.format(id=case.student)
        path.parent.mkdir(parents=True)
        if case.student == "files-link":
            path.symlink_to(world.course.source("sums"))
        else:
            path.write_bytes(case.content(world))


def write_zip(path: Path, world: World) -> None:
    """The download of the second day."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for case in CASES:
            if not case.zipped:
                continue
            member = zipfile.ZipInfo(case.place.format(id=case.student), (2026, 11, 20, 12, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            if case.student == "files-zip-link":
                member.external_attr = LINK
            content = case.content(world)
            archive.writestr(member, content)
            if case.student == "files-double":
                archive.writestr(member, content)
