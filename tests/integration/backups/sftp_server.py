"""A server of SFTP on this machine for tests, with keys that are made for it and thrown away."""

import asyncio
import contextlib
import getpass
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from dteg.testing.servers import fresh_port

_PLACES = os.pathsep.join(["/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin"])


@dataclass(frozen=True)
class SftpServer:
    """How to reach it.

    Attributes:
        port: Of 127.0.0.1.
        user: Who logs in.
        root: A folder that may be written to.
        known_hosts: Its key, as clients want it.
        client_key: The key that logs in.
        program: What serves: `sshd` or `asyncssh`.
    """

    port: int
    user: str
    root: Path
    known_hosts: Path
    client_key: Path
    program: str


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[SftpServer]:
    """Start a server; stop it at the end."""
    for name in ("host", "client"):
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(str(folder / name))
        key.write_public_key(str(folder / f"{name}.pub"))
        (folder / name).chmod(0o600)
    port = fresh_port()
    host_key = " ".join((folder / "host.pub").read_text().split()[:2])
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}\n")
    (folder / "root").mkdir()
    sshd = shutil.which("sshd") or shutil.which("sshd", path=_PLACES)
    server = SftpServer(
        port, getpass.getuser(), folder / "root", folder / "known_hosts", folder / "client", "sshd" if sshd else "asyncssh"
    )  # fmt: skip
    with _sshd(sshd, folder, port) if sshd else _own(folder, port):
        yield server


@contextlib.contextmanager
def _sshd(program: str, folder: Path, port: int) -> Iterator[None]:
    config = folder / "sshd_config"
    config.write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder / 'host'}\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"AuthorizedKeysFile {folder / 'client.pub'}\nPasswordAuthentication no\nPermitRootLogin yes\n"
        "Subsystem sftp internal-sftp\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, "-D", "-e", "-f", config], stdout=log, stderr=log)
    try:
        time.sleep(0.3)
        assert process.poll() is None, (folder / "log").read_text()
        yield
    finally:
        process.terminate()
        process.wait(10)


@contextlib.contextmanager
def _own(folder: Path, port: int) -> Iterator[None]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def listen() -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1", port, server_host_keys=[str(folder / "host")],
            authorized_client_keys=str(folder / "client.pub"), sftp_factory=True,
        )  # fmt: skip

    async def ended(listener: asyncssh.SSHAcceptor) -> None:
        listener.close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    listener = asyncio.run_coroutine_threadsafe(listen(), loop).result(20)
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(ended(listener), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
