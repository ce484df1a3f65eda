"""Azure's blob store as Azurite plays it: a program of npm, so it is only there where somebody has installed it."""

import base64
import contextlib
import email.utils
import hashlib
import hmac
import os
import shutil
import socket
import subprocess
import time
import urllib.request

from dteg.core.errors import EnvironmentProblemError
from dteg.testing.servers import fresh_port

PROGRAM_VARIABLE = "DTEG_TEST_AZURITE"
CONTAINER = "caches"
# Known to everybody: the account of every emulator.
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_START_TIMEOUT_S = 60


@contextlib.contextmanager
def azurite(folder):
    """Start Azurite with an empty container, and yield its URL.

    Raises:
        EnvironmentProblemError: It is not installed, or does not start.
    """
    program = os.environ.get(PROGRAM_VARIABLE) or shutil.which("azurite-blob")
    if not program:
        raise EnvironmentProblemError(f"npm install azurite, and set {PROGRAM_VARIABLE} to its azurite-blob")
    port = fresh_port()
    options = ["--inMemoryPersistence", "--silent", "--skipApiVersionCheck", "--disableTelemetry"]
    with (folder / "azurite.log").open("wb") as log:
        process = subprocess.Popen(
            [program, "--blobHost", "127.0.0.1", "--blobPort", str(port), *options],
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        _wait(port, process)
        _make_container(url)
        yield url
    finally:
        process.terminate()
        process.wait()


def _wait(port, process):
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise EnvironmentProblemError("azurite-blob does not start")


def _make_container(url):
    date, version = email.utils.formatdate(usegmt=True), "2021-08-06"
    signed = [
        "PUT", *[""] * 11, f"x-ms-date:{date}\nx-ms-version:{version}",
        f"/{_ACCOUNT}/{_ACCOUNT}/{CONTAINER}\nrestype:container",
    ]  # fmt: skip
    mac = hmac.new(base64.b64decode(_KEY), "\n".join(signed).encode(), hashlib.sha256).digest()
    headers = {
        "x-ms-date": date, "x-ms-version": version,
        "Authorization": f"SharedKey {_ACCOUNT}:{base64.b64encode(mac).decode()}",
    }  # fmt: skip
    request = urllib.request.Request(
        f"{url}/{_ACCOUNT}/{CONTAINER}?restype=container", method="PUT", headers=headers
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 201
