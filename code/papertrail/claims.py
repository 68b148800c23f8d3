"""The ledger: every claim with its locator, its check and its verdict.

Rows live in book/claims/<chapter>.yml; the numbers that a row's `says` line shows live in
book/claims/evidence.json, which only `--record` writes. `python -m papertrail.claims [ID ...]` re-runs the
checks, prints a table, and exits non-zero when a fresh verdict or a fresh sentence differs from the stored
one. `--list` shows the rows and runs nothing.
"""

import argparse
import difflib
import importlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

KINDS = ("history", "mathematics", "experiment")
VERDICTS = ("holds", "holds-at-small-scale", "imprecise", "wrong", "not-checkable-here")
READ = ("full-text", "secondary", "abstract", "viewed", "run")
Numbers = Mapping[str, float | int | str]  # what a check measured, by the names that a sentence shows
FIELDS = {"id", "claim", "article", "where", "sources", "kind", "check", "unchecked", "verdict", "says"}


class LedgerError(ValueError):
    """A row of the ledger is malformed; the message names the file, the row and the field."""


@dataclass(frozen=True)
class Evidence:
    """What a check found: numbers for the sentence, and the verdict that its stated thresholds give them.

    Raises:
        ValueError: the verdict is none of `VERDICTS`.
    """

    numbers: Numbers
    verdict: str

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f"verdict: {self.verdict!r} given, allowed: {', '.join(VERDICTS)}")


@dataclass(frozen=True)
class Source:
    """Where a claim was checked: a bibliography key, a place in it, and how that place was read."""

    key: str
    at: str
    read: str


@dataclass(frozen=True)
class Claim:
    """One row of the ledger."""

    id: str
    chapter: str
    claim: str
    article: tuple[int, ...]  # the article's claims that this row answers; empty for what the course adds
    where: str | None  # the article's section; None for what the course adds
    sources: tuple[Source, ...]
    kind: str
    check: str | None  # "module:function"
    unchecked: str | None  # why there is no check
    verdict: str
    says: str  # a template whose fields are filled with the check's numbers

    def sentence(self, numbers: Mapping[str, Any]) -> str:
        """`says` with the numbers filled in.

        Raises:
            LedgerError: `says` shows a number that `numbers` does not have.
        """
        try:
            return self.says.format_map(numbers)
        except KeyError as missing:
            raise LedgerError(f"{self.chapter}.yml: {self.id}: says: no number is called {missing}") from None


# The same loader in C, ten times as fast, where PyYAML was built with it.
SAFE_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def book_folder() -> Path:
    """The course's book/ folder: PAPERTRAIL_BOOK, or the one beside code/ in a checkout.

    Raises:
        FileNotFoundError: neither holds a claims/ folder.
    """
    folder = Path(os.environ.get("PAPERTRAIL_BOOK") or Path(__file__).resolve().parents[2] / "book")
    if not (folder / "claims").is_dir():
        raise FileNotFoundError(
            f"no ledger at {folder}/claims; set PAPERTRAIL_BOOK to the course's book/ folder"
        )
    return folder


def load(folder: Path | None = None) -> list[Claim]:
    """Every row of the ledger, in file order.

    Raises:
        LedgerError: a row is malformed or an id is used twice.
    """
    folder = folder or book_folder() / "claims"
    claims = [claim for path in sorted(folder.glob("*.yml")) for claim in _load_file(path)]
    seen: dict[str, str] = {}
    for claim in claims:
        if claim.id in seen:
            raise LedgerError(f"{claim.chapter}.yml: {claim.id}: id: already used in {seen[claim.id]}.yml")
        seen[claim.id] = claim.chapter
    return claims


def _load_file(path: Path) -> Iterable[Claim]:
    try:
        rows = yaml.load(path.read_text(encoding="utf-8"), SAFE_LOADER)
    except yaml.YAMLError as error:
        raise LedgerError(f"{path.name}: not YAML: {error}") from None
    if not isinstance(rows, list):
        raise LedgerError(f"{path.name}: expected a list of rows, got {type(rows).__name__}")
    for number, row in enumerate(rows, start=1):
        yield _claim(path, number, row)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _claim(path: Path, number: int, row: Any) -> Claim:
    """One row, checked field by field."""
    name = row.get("id", f"row {number}") if isinstance(row, dict) else f"row {number}"

    def need(condition: bool, field: str, problem: str) -> None:
        if not condition:
            raise LedgerError(f"{path.name}: {name}: {field}: {problem}")

    need(isinstance(row, dict), "row", f"expected fields, got {type(row).__name__}")
    need(set(row) <= FIELDS, "fields", f"unknown {sorted(set(row) - FIELDS)}; known: {sorted(FIELDS)}")
    for field in ("id", "claim", "kind", "verdict", "says"):
        need(_is_text(row.get(field)), field, "missing or not text")
    need(
        bool(re.fullmatch(r"[a-z][a-z0-9-]*", row["id"])), "id", "only lower-case letters, digits and hyphens"
    )
    need(row["kind"] in KINDS, "kind", f"{row['kind']!r} given, allowed: {', '.join(KINDS)}")
    need(row["verdict"] in VERDICTS, "verdict", f"{row['verdict']!r} given, allowed: {', '.join(VERDICTS)}")
    article = row.get("article", [])
    need(isinstance(article, list) and all(type(n) is int and 1 <= n <= 60 for n in article), "article",
         f"{article!r} given, allowed: a list of numbers from 1 to 60")  # fmt: skip
    where = row.get("where")
    need(where is None or _is_text(where), "where", "expected text or null")
    need(
        bool(article) == (where is not None),
        "where",
        "null exactly where `article` is empty (what the course adds)",
    )
    need(isinstance(row.get("sources"), list) and bool(row["sources"]), "sources", "missing or empty")
    for source in row["sources"]:
        need(isinstance(source, dict) and set(source) == {"key", "at", "read"}, "sources",
             f"{source!r} given; each needs exactly key, at and read")  # fmt: skip
        need(_is_text(source["key"]), "sources", f"key: {source['key']!r} given, expected a bibliography key")
        need(_is_text(source["at"]), "sources", f"{source['key']} has no locator")
        need(source["read"] in READ, "sources", f"read: {source['read']!r} given, allowed: {', '.join(READ)}")
    check, unchecked = row.get("check"), row.get("unchecked")
    need(
        bool(check) != bool(unchecked),
        "check",
        "give either `check: module:function` or the reason in `unchecked`",
    )
    need(
        check is None or (_is_text(check) and bool(re.fullmatch(r"[\w.]+:\w+", check))),
        "check",
        f"{check!r} is not module:function",
    )
    need(
        unchecked is None or _is_text(unchecked),
        "unchecked",
        f"{unchecked!r} given, expected a reason in words",
    )
    fields = re.findall(r"\{(.*?)\}", row["says"])
    bare = re.sub(r"\{[a-z_]+\}", "", row["says"])
    need("{" not in bare and "}" not in bare, "says", f"fields are written {{name}}, got {row['says']!r}")
    need(check is not None or not fields, "says", f"shows numbers {fields} but no check provides them")
    return Claim(
        id=row["id"], chapter=path.stem, claim=row["claim"].strip(), article=tuple(article), where=where,
        sources=tuple(Source(**source) for source in row["sources"]), kind=row["kind"], check=check,
        unchecked=unchecked, verdict=row["verdict"], says=row["says"].strip(),
    )  # fmt: skip


def load_evidence(folder: Path | None = None) -> dict[str, dict[str, Any]]:
    """The recorded numbers of every checked row, by id."""
    path = (folder or book_folder() / "claims") / "evidence.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def check_function(claim: Claim) -> Callable[[], Evidence]:
    """The function that a row names.

    Raises:
        LedgerError: there is no such module or function.
    """
    module, _, name = (claim.check or "").partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise LedgerError(f"{claim.chapter}.yml: {claim.id}: check: {error}") from None


@dataclass(frozen=True)
class Outcome:
    """A re-run row: what the check gave now, beside what is stored."""

    claim: Claim
    evidence: Evidence
    stored: Mapping[str, Any] | None

    @property
    def problems(self) -> list[str]:
        """What disagrees, in words; empty when nothing does."""
        found = []
        if self.evidence.verdict != self.claim.verdict:
            found.append(f"verdict: the ledger says {self.claim.verdict}, the check {self.evidence.verdict}")
        fresh = self.claim.sentence(self.evidence.numbers)
        if self.stored is None:
            found.append("no evidence is recorded: run `python -m papertrail.claims --record`")
        elif (old := self.claim.sentence(self.stored)) != fresh:
            found.append(f"says: stored {old!r}, now {fresh!r}")
        return found


def run(claims: Iterable[Claim], stored: Mapping[str, Mapping[str, Any]]) -> Iterable[Outcome]:
    """Re-run the check of each row that has one.

    Raises:
        LedgerError: a check does not exist, fails, or returns something else than Evidence.
    """
    for claim in claims:
        if claim.check:
            try:
                evidence = check_function(claim)()
            except LedgerError:
                raise
            except Exception as error:
                raise LedgerError(f"{claim.chapter}.yml: {claim.id}: check: failed with {error!r}") from error
            if not isinstance(evidence, Evidence):
                raise LedgerError(
                    f"{claim.chapter}.yml: {claim.id}: check: returned {evidence!r}, not Evidence"
                )
            yield Outcome(claim, evidence, stored.get(claim.id))


def _record(outcomes: Iterable[Outcome], path: Path) -> None:
    """Write the numbers beside the rows: to a temporary file first, then renamed."""
    numbers = load_evidence(path.parent) | {o.claim.id: dict(o.evidence.numbers) for o in outcomes}
    known = {claim.id for claim in load(path.parent) if claim.check}
    text = json.dumps(
        {key: numbers[key] for key in sorted(numbers) if key in known}, indent=1, ensure_ascii=False
    )
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _unknown_rows(unknown: Iterable[str], known: list[str]) -> str:
    """What to say about ids that the ledger does not have: each with the ids that it may have meant."""
    told = []
    for name in sorted(unknown):
        close = difflib.get_close_matches(name, known)
        told.append(f"{name} (did you mean {' or '.join(close)}?)" if close else name)
    return f"no such row: {', '.join(told)}; `python -m papertrail.claims --list` shows them all"


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns 0, or 1 where a row differs from what is stored."""
    parser = argparse.ArgumentParser(
        prog="python -m papertrail.claims", description="Re-run the ledger's checks."
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="rows to re-run (default: all)")
    parser.add_argument("--list", action="store_true", help="show the rows and run nothing")
    parser.add_argument("--record", action="store_true", help="store the numbers that the checks give now")
    options = parser.parse_args(arguments)
    folder = book_folder() / "claims"
    claims = load(folder)
    unknown = set(options.ids) - {claim.id for claim in claims}
    if unknown:
        parser.error(_unknown_rows(unknown, [claim.id for claim in claims]))
    chosen = [claim for claim in claims if not options.ids or claim.id in options.ids]
    width = max((len(claim.id) for claim in chosen), default=0)
    if options.list:
        for claim in chosen:
            print(f"{claim.id:<{width}}  {claim.verdict:<20}  {claim.claim}")
        return 0

    from tqdm import tqdm

    checked = [claim for claim in chosen if claim.check]
    progress = tqdm(checked, desc="checks", disable=not sys.stderr.isatty())
    outcomes = list(run(progress, load_evidence(folder)))
    if options.record:
        _record(outcomes, folder / "evidence.json")
        outcomes = [Outcome(o.claim, o.evidence, dict(o.evidence.numbers)) for o in outcomes]
    by_id = {outcome.claim.id: outcome for outcome in outcomes}
    for claim in chosen:
        outcome = by_id.get(claim.id)
        state = "not run" if outcome is None else "DIFFERS" if outcome.problems else "agrees"
        print(f"{claim.id:<{width}}  {claim.verdict:<20}  {state}")
        for problem in outcome.problems if outcome else ():
            print(f"{'':<{width}}    {problem}")
    differing = sum(bool(outcome.problems) for outcome in outcomes)
    print(f"{len(chosen)} rows, {len(outcomes)} checks run, {differing} disagree")
    return 1 if differing else 0


def command() -> int:
    """`main`, with a malformed ledger, a failing check or a file that cannot be written told in one line."""
    try:
        return main()
    except (LedgerError, OSError) as error:
        print(f"papertrail.claims: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    from papertrail import claims  # the module that the checks import; this one is called __main__

    raise SystemExit(claims.command())
