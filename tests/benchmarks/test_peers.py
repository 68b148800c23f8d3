"""Other people's code is fetched on demand: pinned, unpacked whole or not at all, and politely missed."""

import io
import re
import tarfile
import zipfile

import pytest


@pytest.fixture
def peers(script):
    return script("peers")


def source_distribution(path, name, text="x = 1\n"):
    """A .tar.gz as packages have it: one folder, with a file."""
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo(f"{name}/module.py")
        info.size = len(text)
        archive.addfile(info, io.BytesIO(text.encode()))


def pip(peers, monkeypatch, make=lambda folder: None, code=0, said=""):
    """Let `make` stand for what pip downloads into its folder."""
    calls = []

    def run(command, **named):
        calls.append((command, named))
        make(peers.Path(command[command.index("--dest") + 1]))
        return peers.subprocess.CompletedProcess(command, code, "", said)

    monkeypatch.setattr(peers.subprocess, "run", run)
    return calls


def test_every_peer_is_pinned_to_a_version_and_a_hash(peers, script):
    text = peers.PINS.read_text(encoding="utf-8")
    pins = peers.pinned(text)
    assert (
        len(pins) == 4 and len(re.findall(r"^\S+==\S+ --hash=sha256:[0-9a-f]{64}$", text, re.MULTILINE)) == 4
    )
    benchmark = script("linear_attention")
    folders = {benchmark.FAST_TRANSFORMERS, benchmark.FLA, benchmark.PERFORMER, benchmark.EINOPS}
    assert {name.replace("_", "-") for name in folders} == {pin.replace("==", "-") for pin in pins}


def test_the_course_does_not_depend_on_a_peer(peers, root):
    names = [pin.partition("==")[0] for pin in peers.pinned(peers.PINS.read_text(encoding="utf-8"))]
    files = [root / "pyproject.toml", *root.glob("requirements*.txt"), *(root / "requirements").glob("*")]
    for path in files:
        text = path.read_text(encoding="utf-8").lower().replace("_", "-")
        assert not [name for name in names if re.search(rf"^\W*{name}\b", text, flags=re.MULTILINE)], (
            path.name
        )


def test_archives_are_unpacked_beside_each_other(peers, monkeypatch, tmp_path, capsys):
    def make(folder):
        source_distribution(folder / "theirs-1.0.tar.gz", "theirs-1.0")
        with zipfile.ZipFile(folder / "more-2.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("more/module.py", "y = 2\n")

    calls = pip(peers, monkeypatch, make)
    target = tmp_path / "new" / "folder"
    assert peers.main([str(target)]) == 0
    assert {str(path.relative_to(target)) for path in target.rglob("*.py")} == {
        "theirs-1.0/module.py", "more-2.0/more/module.py",
    }  # fmt: skip
    assert sorted(path.name for path in target.iterdir()) == ["more-2.0", "theirs-1.0"], (
        "nothing else is left"
    )
    assert "theirs-1.0" in capsys.readouterr().out
    command, named = calls[0]
    assert {"--require-hashes", "--no-deps"} <= set(command) and str(peers.PINS) in command


def test_what_is_there_already_stays(peers, monkeypatch, tmp_path):
    pip(peers, monkeypatch, lambda folder: source_distribution(folder / "theirs-1.0.tar.gz", "theirs-1.0"))
    peers.main([str(tmp_path)])
    (tmp_path / "theirs-1.0" / "module.py").write_text("mine\n")
    assert peers.main([str(tmp_path)]) == 0
    assert (tmp_path / "theirs-1.0" / "module.py").read_text() == "mine\n"


def test_a_path_that_leads_elsewhere_is_not_unpacked(peers, tmp_path):
    (tmp_path / "inside").mkdir()
    source_distribution(tmp_path / "theirs-1.0.tar.gz", "../escaped")
    with pytest.raises(tarfile.TarError):
        peers.unpack(tmp_path / "theirs-1.0.tar.gz", tmp_path / "inside")
    assert list((tmp_path / "inside").iterdir()) == [] and not (tmp_path / "escaped").exists()


def test_peers_that_cannot_be_had_are_missed_politely(peers, monkeypatch, tmp_path, capsys):
    pip(
        peers,
        monkeypatch,
        code=1,
        said="WARNING: slow\nERROR: No matching distribution found for theirs==1.0\nhint\n",
    )
    assert peers.main([str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "could not be had: ERROR: No matching distribution found for theirs==1.0\n" in said
    assert (
        "fla-core==0.6.0" in said and "The benchmarks run without them." in said and "Traceback" not in said
    )


def test_a_compiler_of_cuda_is_kept_out_of_sight(peers, monkeypatch, tmp_path):
    with_one, without = tmp_path / "with", tmp_path / "without"
    for folder in (with_one, without):
        folder.mkdir()
    (with_one / "nvcc").touch()
    monkeypatch.setenv("PATH", f"{with_one}:{without}")
    calls = pip(peers, monkeypatch)
    assert peers.download(tmp_path) == ""
    assert calls[0][1]["env"]["PATH"] == str(without)


def test_what_is_no_archive_is_named(peers, tmp_path):
    with pytest.raises(ValueError, match=r"archive: got 'theirs.rpm'; allowed are .tar.gz and .whl"):
        peers.folder_of(tmp_path / "theirs.rpm")
