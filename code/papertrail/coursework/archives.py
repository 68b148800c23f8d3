"""Find the files in a folder, an archive or a single file that strangers filled. Nothing is unpacked to the disk.

Names are only read: no file is ever written under a name from a download. They are judged all the same, since a
report shows them and since a strange name is a sign of a strange archive.
"""

import io
import os
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO

from .parsing import MAX_BYTES

MAX_TOTAL = 500_000_000  # bytes read from one download
MAX_MEMBERS = 5_000  # of one download
MAX_INNER_BYTES = 20_000_000  # of one student's archive, and of what is read from it
MAX_INNER_MEMBERS = 200
MAX_NAME = 255  # bytes of one part of a path, as file systems have it
IGNORED = frozenset({"__MACOSX", ".DS_Store", ".ipynb_checkpoints", "Thumbs.db", "desktop.ini"})
EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)  # the first time that a zip can hold
MTIME_FIELD = 0x5455  # the extra field of a zip member with its time in UTC
BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
    struct.error,
)


class BadArchive(ValueError):
    """A zip cannot be read at all. The message says why."""


@dataclass(frozen=True)
class Found:
    """One file of a download.

    Attributes:
        name: its path in the download, with slashes; in a student's archive, behind the archive's own.
        owner_path: the path that says whose it is: the archive's for a file in a student's archive, since its inside
            is the student's to name.
        time: when it was handed in, in UTC. For a file in a student's archive, the archive's time, for the same reason.
        inner_time: its own time, which orders the files of one archive.
        content: its bytes, where it is a notebook.
        problem: why it is refused; "" where it is not.
    """

    name: str
    owner_path: str
    time: datetime
    inner_time: datetime
    content: bytes = b""
    problem: str = ""

    @property
    def is_work(self) -> bool:
        """Is it, by its name, a notebook or an archive, and not some other file beside one?"""
        return self.name.lower().endswith((".ipynb", ".zip"))


class Budget:
    """How many bytes may still be read, over all files of a download."""

    def __init__(self, total: int, says: str) -> None:
        self.left, self.says = total, says

    def read(self, stream: IO[bytes], limit: int) -> bytes:
        """All of a stream.

        Raises:
            ValueError: it holds more than `limit` bytes, or more than is left over all.
        """
        content = stream.read(min(limit, self.left) + 1)
        if len(content) > limit:
            raise ValueError(
                f"larger than {limit // 1_000_000} MB; clear all outputs in Jupyter, save, and hand in again"
            )
        if len(content) > self.left:
            self.left = 0
            raise ValueError(self.says)
        self.left -= len(content)
        return content


def shown(name: str) -> str:
    """A name as a report can show it: control characters and broken ones as escapes."""
    plain = name.encode("utf-8", "backslashreplace").decode()
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in plain
    )


def name_problem(name: str) -> str:
    """Why a path in an archive is refused; "" for a sound one."""
    if not name or name.startswith("/"):
        return "an absolute path or no name at all"
    if "\\" in name:
        return "a backslash in its name"
    if len(name) > 1 and name[1] == ":":
        return "a drive letter in its name"
    if any(ord(letter) < 32 or 127 <= ord(letter) < 160 or 0xD800 <= ord(letter) < 0xE000 for letter in name):
        return "a control character or a broken character in its name"
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "a path with an empty part, '.' or '..'"
    if any(len(part.encode()) > MAX_NAME for part in parts):
        return f"a name of more than {MAX_NAME} bytes"
    return ""


def is_ignored(name: str) -> bool:
    """Is it one of the files that systems leave behind?"""
    parts = name.split("/")
    return not IGNORED.isdisjoint(parts) or parts[-1].startswith("._")


def _member_name(info: zipfile.ZipInfo) -> str:
    """A member's path as it was meant: many tools write UTF-8 without saying so."""
    name = info.orig_filename  # `filename` ends at the first NUL
    if not info.flag_bits & 0x800:
        try:
            return name.encode("cp437").decode("utf-8")
        except UnicodeError:
            return name
    return name


def _member_time(info: zipfile.ZipInfo) -> datetime:
    """A member's time: the one in UTC where it has one, else the one without a zone, read as UTC."""
    extra, place = info.extra, 0
    while place + 4 <= len(extra):
        kind, size = struct.unpack_from("<HH", extra, place)
        if kind == MTIME_FIELD and size >= 5 and place + 9 <= len(extra) and extra[place + 4] & 1:
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
                seconds=struct.unpack_from("<i", extra, place + 5)[0]
            )
        place += 4 + size
    try:
        return datetime(*info.date_time, tzinfo=UTC)
    except ValueError:
        return EARLIEST


def _member_problem(info: zipfile.ZipInfo, name: str) -> str:
    """Why a member is not even opened; "" for a plain file."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if problem := name_problem(name):
        return problem
    if kind == stat.S_IFLNK:
        return "a symbolic link, not a file"
    if kind not in (0, stat.S_IFREG):
        return "a special file (device, pipe or folder), not a plain one"
    if info.flag_bits & 0x1:
        return "encrypted; hand in an archive without a password"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "compressed in a way that is not read here; use an ordinary zip"
    return ""


def _opened(file: IO[bytes], most: int) -> tuple[zipfile.ZipFile, list[zipfile.ZipInfo]]:
    """An archive and its members, folders left out.

    Raises:
        BadArchive: it is no zip, is cut off, or has more than `most` members.
    """
    try:
        archive = zipfile.ZipFile(file)
    except BROKEN:
        raise BadArchive("not a zip, or a part of it is missing; download or hand it in again") from None
    infos = archive.infolist()
    if len(infos) > most:
        raise BadArchive(f"the zip has {len(infos)} members; at most {most} are taken")
    return archive, [info for info in infos if not info.orig_filename.endswith("/")]


def _from_zip(file: IO[bytes], budget: Budget, outer: Found | None = None) -> Iterator[Found]:
    """The files in an archive; in a student's own one (`outer`), no further archive is opened."""
    archive, infos = _opened(file, MAX_INNER_MEMBERS if outer else MAX_MEMBERS)
    with archive:
        times = Counter(map(_member_name, infos))
        for info in infos:
            inside = _member_name(info)
            if is_ignored(inside):
                continue
            name, moment = (f"{outer.name}/{inside}" if outer else inside), _member_time(info)
            path, time = (outer.owner_path, outer.time) if outer else (inside, moment)
            problem = _member_problem(info, inside)
            if times[inside] > 1:
                problem = problem or "a name that several members of the zip have"
            found = Found(name, path, time, moment, problem=problem)
            if problem:
                yield found
            else:
                yield from _with_content(found, partial(archive.open, info), budget, nested=outer is not None)


def _with_content(
    found: Found, opening: Callable[[], IO[bytes]], budget: Budget, nested: bool
) -> Iterator[Found]:
    """A found file with its bytes; for a student's archive, the files in it."""

    def but(content: bytes = b"", problem: str = "") -> Found:
        return Found(found.name, found.owner_path, found.time, found.inner_time, content, problem)

    ending = found.name.lower().rpartition(".")[2]
    if ending == "zip" and nested:
        yield but(problem="an archive in a student's archive; hand in the notebook itself")
    elif ending not in ("ipynb", "zip"):
        yield but(problem="not a notebook (.ipynb): only the notebook is run, without other files")
    else:
        try:
            with opening() as stream:
                content = budget.read(stream, MAX_BYTES if ending == "ipynb" else MAX_INNER_BYTES)
        except BROKEN as error:
            known = type(error) is ValueError  # of the budget; all others are the archive's or the system's
            yield but(
                problem=str(error)
                if known
                else f"it cannot be read and may be damaged ({shown(str(error))[:200]})"
            )
            return
        if ending == "ipynb":
            yield but(content)
            return
        most = min(MAX_INNER_BYTES, budget.left)
        inner = Budget(most, f"the archive holds more than {MAX_INNER_BYTES // 1_000_000} MB")
        try:
            yield from _from_zip(io.BytesIO(content), inner, found)
        except BadArchive as error:
            yield but(problem=str(error))
        budget.left -= most - inner.left


def _open_plain(path: Path) -> io.BufferedReader:
    """Open a plain file for reading, never through a link and never waiting for a pipe.

    Raises:
        OSError: it is a link, is no plain file, or may not be read.
    """
    handle = os.open(
        path,
        os.O_RDONLY
        | getattr(os, "O_NOFOLLOW", 0)
        | getattr(os, "O_NONBLOCK", 0)
        | getattr(os, "O_BINARY", 0),
    )
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError("not a plain file")
    return os.fdopen(handle, "rb")


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    """Everything below a folder but folders, with paths in it. Links are named, never followed.

    A folder that may not be read is given like a file.
    """
    waiting = [("", folder)]
    while waiting:
        prefix, current = waiting.pop()
        try:
            with os.scandir(current) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:
            yield prefix.rstrip("/"), current
            continue
        for entry in entries:
            name = prefix + entry.name
            if is_ignored(name):
                continue
            if entry.is_dir(follow_symlinks=False):
                waiting.append((f"{name}/", Path(entry.path)))
            else:
                yield name, Path(entry.path)


def _from_disk(files: Iterator[tuple[str, Path]], budget: Budget) -> Iterator[Found]:
    """Files of a folder, or a single file."""
    for count, (name, path) in enumerate(files, 1):
        if count > MAX_MEMBERS:
            raise BadArchive(f"source: the folder has more than {MAX_MEMBERS} files; collect it in parts")
        time, problem = EARLIEST, name_problem(name)
        try:
            status = os.lstat(path)
            time = datetime.fromtimestamp(int(status.st_mtime), UTC)
            if stat.S_ISLNK(status.st_mode):
                problem = "a symbolic link, not a file"
            elif stat.S_ISDIR(status.st_mode):
                problem = "a folder that may not be read"
            elif not stat.S_ISREG(status.st_mode):
                problem = "a special file (device or pipe), not a plain one"
        except (OSError, OverflowError, ValueError) as error:
            problem = f"it cannot be looked at ({shown(str(error))[:200]})"
        found = Found(name, name, time, time, problem=problem)
        if problem:
            yield found
        else:
            yield from _with_content(found, partial(_open_plain, path), budget, nested=False)


def find(source: Path) -> Iterator[Found]:
    """The files of a download: a folder, a zip, or a single notebook. A bad file is found with its problem.

    Raises:
        FileNotFoundError: there is no such download.
        BadArchive: it is a link or of another kind, or an archive that cannot be read, or it has too many files.
    """
    budget = Budget(
        MAX_TOTAL, f"the download holds more than {MAX_TOTAL // 1_000_000} MB; collect it in parts"
    )
    if source.is_symlink():
        raise BadArchive(f"source: {source} is a link; give the path that it leads to")
    if not source.exists():
        raise FileNotFoundError(f"source: {source} does not exist; give a folder, a .zip or an .ipynb file")
    if source.is_dir():
        yield from _from_disk(_walk(source), budget)
    elif source.suffix.lower() == ".zip":
        with _open_plain(source) as file:
            try:
                yield from _from_zip(file, budget)
            except BadArchive as error:
                raise BadArchive(f"source: {source.name}: {error}") from None
    elif source.suffix.lower() == ".ipynb":
        yield from _from_disk(iter([(source.name, source)]), budget)
    else:
        raise BadArchive(f"source: {source.name} is neither a folder nor a .zip or .ipynb file")
