"""An environment made from exactly the files in .binder/, and chapters run in it with 1 GiB of memory."""

import json
import os
import shutil
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

GIBIBYTE = 2**30


@pytest.fixture(scope="module")
def binder(root, tmp_path_factory, find_python):
    """A checkout of its own with the environment that the files describe; no network beyond pip's own."""
    if os.environ.get("PAPERTRAIL_OFFLINE"):
        pytest.skip("PAPERTRAIL_OFFLINE is set, and pip fetches this environment from a package index")
    folder = tmp_path_factory.mktemp("binder")
    for name in (".binder", "code", "book", "requirements", "pyproject.toml", "README.md", "LICENSE"):
        source = root / name
        shutil.copytree(source, folder / name) if source.is_dir() else shutil.copy(source, folder / name)
    shutil.rmtree(folder / "code" / "transformer_paper_trail.egg-info", ignore_errors=True)
    version = (root / ".binder" / "runtime.txt").read_text().strip().removeprefix("python-")
    running = f"{sys.version_info[0]}.{sys.version_info[1]}"
    python = sys.executable if running == version else find_python(version)
    if not python:
        pytest.skip(f"Binder runs Python {version}, and there is none here")
    subprocess.run([python, "-m", "venv", folder / "env"], check=True)
    path = f"{folder / 'env' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PIP_RETRIES": "1", "VIRTUAL_ENV": str(folder / "env")}
    environment.pop("PYTHONPATH", None)
    steps = [
        ["python", "-m", "pip", "install", "--quiet", "--requirement", ".binder/requirements.txt"],
        ["bash", ".binder/postBuild"],
    ]
    for step in steps:
        result = subprocess.run(step, cwd=folder, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr[-2000:]
    return folder


def test_binder_gets_the_cpu_build_and_no_tools(binder):
    listed = subprocess.run(
        [binder / "env" / "bin" / "python", "-m", "pip", "list", "--format", "json"],
        capture_output=True,
        check=True,
    )
    packages = {package["name"].lower(): package["version"] for package in json.loads(listed.stdout)}
    assert packages["torch"] == "2.13.0+cpu" and "transformer-paper-trail" in packages
    assert not [
        name
        for name in packages
        if name.startswith(("nvidia", "cuda", "triton", "jupyter-book", "pytest", "playwright"))
    ]


def test_binder_s_notebooks_need_no_site_around_them(binder):
    for path in (binder / "book").glob("*.ipynb"):
        text = path.read_text(encoding="utf-8")
        assert "{claim}`" not in text and ":::{dropdown}" not in text, path.name


CHAPTERS = [
    "architecture_diagram",
    *(
        pytest.param(name, marks=pytest.mark.long)
        for name in ("layer_norm_placement", "fast_weights", "ulmfit", "gopher", "scan_and_snap")
    ),
]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_runs_there_within_a_gibibyte_and_prints_what_is_stored(chapter, binder, monkeypatch):
    spec = binder / "kernels" / "kernels" / "binder"
    spec.mkdir(parents=True, exist_ok=True)
    limit = (
        "import resource, os, sys\n"
        f"resource.setrlimit(resource.RLIMIT_DATA, ({GIBIBYTE}, {GIBIBYTE}))\n"
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    argv = ["bash", str(binder / ".binder" / "start"), sys.executable, "-c", limit,
            str(binder / "env" / "bin" / "python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]  # fmt: skip
    (spec / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "Binder", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_PATH", str(binder / "kernels"))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    path = binder / "book" / f"{chapter}.ipynb"
    stored, fresh = nbformat.read(path, as_version=4), nbformat.read(path, as_version=4)
    probe = (
        "import os, resource\n"
        "print(os.environ['OMP_NUM_THREADS'], os.environ['OMP_WAIT_POLICY'])\n"
        "print(resource.getrlimit(resource.RLIMIT_DATA)[0])\n"
        # not ru_maxrss: that one begins with what the process that started the kernel had
        "print(next(line for line in open('/proc/self/status') if 'VmHWM' in line).split()[1])"
    )
    fresh.cells.append(nbformat.v4.new_code_cell(probe))
    NotebookClient(
        fresh,
        timeout=120,
        kernel_name="binder",
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    ).execute()
    threads, policy, enforced, peak = fresh.cells[-1].outputs[0].text.split()
    assert (threads, policy, int(enforced)) == ("1", "PASSIVE", GIBIBYTE)
    assert int(peak) / 1024 < 600, "the chapter's own budget, in MiB"

    def printed(notebook):
        return [
            o.text for cell in notebook.cells for o in cell.get("outputs", []) if o.output_type == "stream"
        ]

    assert printed(fresh)[:-1] == printed(stored)
