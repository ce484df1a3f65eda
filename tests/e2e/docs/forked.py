"""`dteg` as a program that is imported once and forked for each command: most of a short command is its imports.

Each command is a process of its own all the same, with its own folder, environment, files and exit code. A studio that
goes on running is started as the program itself; that the program starts is tested in `tests/e2e/cli`.
"""

import contextlib
import gc
import importlib
import io
import marshal
import os
import pkgutil
import shlex
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[3]
# What most commands import when they run; of charts only what starts no engine.
_DOMAINS = (
    "alerts", "backups", "cron", "dashboards", "datasets", "dictionaries", "metadata", "normalize", "schema_changes",
    "snapshots", "sources", "tables", "topics",
)  # fmt: skip
_CLIENT = """\
import marshal, os, socket, sys
words = sys.argv[1:]
if words[:1] == ["studio"] and (not words[1:] or words[1].startswith("-")):
    os.execv({program!r}, [{program!r}, *words])
with socket.socket(socket.AF_UNIX) as link:
    link.connect({address!r})
    data = marshal.dumps((os.getcwd(), dict(os.environ), words))
    socket.send_fds(link, [len(data).to_bytes(8, "big")], [0, 1, 2])
    link.sendall(data)
    code = link.recv(1)
sys.exit(code[0] if code else "dteg ended without an exit code")
"""


@contextlib.contextmanager
def forked_dteg(folder: Path) -> Iterator[Path]:
    """Yield a folder for the beginning of PATH whose `dteg` is ready to run.

    Args:
        folder: An empty folder; its path is short enough for a socket.
    """
    program, address = Path(sys.executable).with_name("dteg"), folder / "door"
    client, stub = folder / "client.py", folder / "bin" / "dteg"
    client.write_text(_CLIENT.format(program=str(program), address=str(address)))
    stub.parent.mkdir()
    # By a shell: the first line of a script may be neither long nor hold blanks.
    stub.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -IS {shlex.quote(str(client))} "$@"\n')
    stub.chmod(0o755)
    code = f"from tests.e2e.docs.forked import serve; serve({str(address)!r}, {str(program)!r})"
    server = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("DTEG_")},
    )  # fmt: skip
    assert server.stdout is not None
    try:
        assert server.stdout.readline() == "ready\n", "the imported dteg does not start"
        yield stub.parent
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def serve(address: str, program: str) -> NoReturn:
    """Import what commands need, and fork for each that comes."""
    commands = importlib.import_module("dteg.cli")
    for module in pkgutil.iter_modules(commands.__path__):
        importlib.import_module(f"dteg.cli.{module.name}")
    for name in (*(f"dteg.{domain}.service" for domain in _DOMAINS), "dteg.pipelines.runner", "pyarrow.csv"):
        importlib.import_module(name)
    assert threading.active_count() == 1, "a process with threads cannot be forked"
    gc.collect()
    gc.freeze()  # what is looked through is copied
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(address)
        door.listen()
        print("ready", flush=True)
        while True:
            link, _ = door.accept()
            if os.fork() == 0:
                door.close()
                _answer(link, program)
            link.close()
            with contextlib.suppress(ChildProcessError):  # none is left
                while os.waitpid(-1, os.WNOHANG)[0]:
                    continue


def _answer(link: socket.socket, program: str) -> NoReturn:
    """Run one command, and send its exit code."""
    length, files, *_ = socket.recv_fds(link, 8, 3)
    with link.makefile("rb") as told:
        folder, environment, words = marshal.loads(told.read(int.from_bytes(length, "big")))
    child = os.fork()
    if child == 0:
        link.close()
        _become(files, folder, environment, [program, *words])
    for file in files:
        os.close(file)
    _, status = os.waitpid(child, 0)
    link.sendall(bytes([os.waitstatus_to_exitcode(status) % 256]))
    os._exit(0)


def _become(files: list[int], folder: str, environment: dict[str, str], arguments: list[str]) -> NoReturn:
    """Be the program, as if it was just started."""
    from dteg.cli import main

    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv, sys.path[0] = arguments, str(Path(arguments[0]).parent)
    sys.stdin = io.TextIOWrapper(open(0, "rb", closefd=False), encoding="utf-8")  # noqa: SIM115 - until the end
    sys.stdout = io.TextIOWrapper(open(1, "wb", closefd=False), encoding="utf-8")  # noqa: SIM115
    sys.stderr = io.TextIOWrapper(
        open(2, "wb", closefd=False),  # noqa: SIM115
        encoding="utf-8", errors="backslashreplace", line_buffering=True,
    )  # fmt: skip
    main()
    raise AssertionError("main ends the process")
