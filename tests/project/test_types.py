"""Types and format are checked in `make test` and `make lint`, strictly, and exceptions to that say why."""

import re
import tomllib

import pytest

IGNORE = re.compile(r"# type: ignore\b(.*)")
REASON = re.compile(r"\[[a-z-]+(, [a-z-]+)*\]  # \w.{10,}")


def recipe(rules, target):
    """The lines that a target of the Makefile runs."""
    return re.search(rf"^{target}:[^\n]*\n((?:\t[^\n]*\n)+)", rules, re.MULTILINE)[1].splitlines()


@pytest.fixture(scope="module")
def settings(root):
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["mypy"]


def test_both_targets_check_the_types(root):
    rules = (root / "Makefile").read_text(encoding="utf-8")
    for target in ("test prove", "lint"):
        assert "\t$(RUN) -m mypy" in recipe(rules, target)
    assert ".mypy_cache/" in (root / ".gitignore").read_text(encoding="utf-8").split()
    assert " .mypy_cache " in re.search(r"^clean:.*?rm -rf ([^\n]*)", rules, re.MULTILINE | re.DOTALL)[0]


def test_what_lint_formats_is_what_the_tests_check(root):
    rules = (root / "Makefile").read_text(encoding="utf-8")
    formats = next(line for line in recipe(rules, "lint") if " ruff format " in line)
    checked = formats.replace("ruff format ", "ruff format --check --quiet ")
    assert any(line.startswith(f"{checked} && ") for line in recipe(rules, "test prove"))
    folders = {"benchmarks", "code", "tests", "tools"}  # the others hold notebooks, and nbgrader's settings
    assert folders <= set(formats.split())


def test_the_whole_package_is_checked_and_every_function_has_types(settings):
    assert settings["files"] == ["code/papertrail", "tools"] and settings["exclude"] == ["/templates/"]
    for demand in ("check_untyped_defs", "disallow_untyped_defs", "warn_unused_ignores"):
        assert settings[demand] is True
    assert settings["enable_error_code"] == ["ignore-without-code"]
    assert "ignore_errors" not in settings and "ignore_missing_imports" not in settings


def test_only_other_peoples_libraries_are_let_off(settings):
    for part in settings["overrides"]:
        assert set(part) == {"module", "ignore_missing_imports"} or (
            set(part) == {"module", "follow_imports"} and part["follow_imports"] == "skip"
        )
        for name in part["module"]:
            assert not re.match(r"papertrail|\*|torch(\.\*)?$|numpy|matplotlib", name), name


def test_an_ignored_error_says_which_and_why(root):
    found = [
        (path.name, match[1])
        for folder in ("code", "tools")
        for path in (root / folder).rglob("*.py")
        for match in IGNORE.finditer(path.read_text(encoding="utf-8"))
    ]
    assert found and [one for one in found if not REASON.match(one[1])] == []


@pytest.mark.parametrize(
    "rest", ["", "[misc]", "[misc]  # why", "  # some reason or other", "[misc] # no such type here"]
)
def test_a_bare_exception_is_noticed(rest):
    assert not REASON.match(rest)
