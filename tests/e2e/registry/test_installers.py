"""Plain pip and uv against the index of a running registry, without any other index."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from registry.testing import running_registry
from tests.integration.registry.publishing import Publisher

NAME = "dteg-streaming-numbers-extractor"
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def published(mongodb_url, tmp_path_factory):
    folder = tmp_path_factory.mktemp("installers")
    with running_registry(mongodb_url, folder / "registry") as registry:
        publisher = Publisher(registry, folder / "wheels")
        for version in ("1.0.0", "1.1.0", "1.2.0"):
            publisher.list(version)
        path = "/components/streaming/numbers-extractor/releases/1.2.0/yank"
        registry.request("POST", path, json={"reason": "loses rows"}, token=publisher.token)
        registry.run(registry.services.index.refresh())
        yield registry


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    """A virtual environment with pip and nothing else."""
    folder = tmp_path_factory.mktemp("scratch") / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return folder


@pytest.fixture
def uv():
    beside = Path(sys.executable).parent / "uv"
    program = str(beside) if beside.exists() else shutil.which("uv")
    assert program, "no uv beside this Python and none on PATH: install the dependency group `installer`"
    return program


def run(command, *, ok=True):
    # Without settings of this machine, which may name other indexes.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "UV_"))}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "UV_NO_CONFIG": "1", "UV_HTTP_RETRIES": "0"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode == 0) is ok, done.stdout + done.stderr
    return done.stdout + done.stderr


def pip(registry, scratch, *arguments, ok=True):
    command = [
        str(scratch / "bin" / "python"), "-m", "pip", "install", "--no-deps", "--no-cache-dir", "--force-reinstall",
        "--disable-pip-version-check", "--index-url", f"{registry.url}/simple/", "--trusted-host", "127.0.0.1",
    ]  # fmt: skip
    return run([*command, *arguments], ok=ok)


def uv_install(registry, scratch, uv, *arguments, ok=True, cache):
    command = [
        uv, "pip", "install", "--python", str(scratch / "bin" / "python"), "--no-deps", "--reinstall",
        "--cache-dir", str(cache), "--index-url", f"{registry.url}/simple/",
    ]  # fmt: skip
    return run([*command, *arguments], ok=ok)


def version_in(scratch):
    code = f"import importlib.metadata as m; print(m.version({NAME!r}))"
    return run([str(scratch / "bin" / "python"), "-c", code]).strip()


def test_pip_takes_the_newest_that_is_not_yanked(published, scratch):
    pip(published, scratch, f"{NAME}>=1")
    assert version_in(scratch) == "1.1.0"


def test_pip_takes_a_yanked_one_that_is_named_and_says_why(published, scratch):
    said = pip(published, scratch, f"{NAME}==1.2.0")
    assert version_in(scratch) == "1.2.0"
    assert "loses rows" in said


def test_uv_takes_the_newest_that_is_not_yanked(published, scratch, uv, tmp_path):
    uv_install(published, scratch, uv, f"{NAME}>=1", cache=tmp_path)
    assert version_in(scratch) == "1.1.0"
    said = uv_install(published, scratch, uv, f"{NAME}==1.2.0", cache=tmp_path)
    assert version_in(scratch) == "1.2.0"
    assert "loses rows" in said


def test_uv_resolves_from_the_metadata_beside_the_wheel(published, uv, tmp_path):
    """The wheel itself is not fetched for a resolution."""
    (tmp_path / "in").write_text(f"{NAME}\n")
    published.run(published.services.downloads.flush())
    before = fetched(published)
    said = run(
        [uv, "pip", "compile", str(tmp_path / "in"), "--no-deps", "--generate-hashes", "--cache-dir",
         str(tmp_path / "cache"), "--index-url", f"{published.url}/simple/"]
    )  # fmt: skip
    release = published.run(published.services.releases.get("streaming/numbers-extractor", "1.1.0"))
    assert f"{NAME}==1.1.0" in said
    assert f"sha256:{release.sha256}" in said
    assert fetched(published) == before


def fetched(registry):
    """How often a wheel was sent."""
    return registry.run(registry.services.downloads.summary("streaming/numbers-extractor")).total


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_a_replaced_file_is_refused_by_its_hash(published, scratch, uv, tmp_path, tool):
    """A lock names the hash; here it is that of another file, as if the index had replaced the one that was locked."""
    (tmp_path / "lock.txt").write_text(
        f"{NAME}==1.1.0 --hash=sha256:{hashlib.sha256(b'other').hexdigest()}\n"
    )
    arguments = ("--require-hashes", "-r", str(tmp_path / "lock.txt"))
    if tool == "pip":
        said = pip(published, scratch, *arguments, ok=False)
    else:
        said = uv_install(published, scratch, uv, *arguments, cache=tmp_path / "cache", ok=False)
    assert "hash" in said.lower()


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_a_file_that_was_tampered_with_on_disk_is_not_served(published, scratch, uv, tmp_path, tool):
    """Seen red: without the comparison in `DiskBlobs.path` the changed bytes are sent with status 200."""
    release = published.run(published.services.releases.get("streaming/numbers-extractor", "1.0.0"))
    path = published.settings.data_dir / "blobs" / release.sha256[:2] / release.sha256
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        answer = published.request("GET", f"//files/{release.sha256}/{release.filename}")
        assert (answer.status_code, "damaged" in answer.json()["detail"]) == (503, True)
        if tool == "pip":
            pip(published, scratch, f"{NAME}==1.0.0", "--retries", "0", ok=False)
        else:
            uv_install(published, scratch, uv, f"{NAME}==1.0.0", cache=tmp_path / "cache", ok=False)
    finally:
        path.write_bytes(content)
    assert published.request("GET", f"//files/{release.sha256}/{release.filename}").content == content
