"""Runs a program so that it can neither reach nor outlive anything here: bubblewrap, an own user and limits.

    setpriv (own uid, no new privileges) -> prlimit -> timeout -> bwrap (namespaces, read-only roots) -> python

The order is of the essence: as real uid 0 the kernel does not enforce RLIMIT_NPROC, and it counts processes by uid over
the whole machine, so each job gets a uid of its own. `--clearenv` does not reach bubblewrap's own process, whose
environment the program could read in /proc/1/environ: it is started with an empty one.
"""

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from dteg.core.errors import EnvironmentProblemError
from dteg.gates.base_environment import BaseEnvironment, base_environment, default_folder
from dteg.gates.memory_watch import MemoryWatch, kill_tree
from dteg.gates.pipes import Pipes
from dteg.gates.runner import Job, Limits, NoSandboxError, Outcome, Runner, new_nonce

FIRST_UID = 200_000
UIDS = 1_000
INSIDE_UID = 1000
KILL_AFTER_S = 2
REMEDY = "install bubblewrap: sudo apt-get install bubblewrap"
PROGRAMS = ("bwrap", "prlimit", "timeout")

_PASSWD = f"gate:x:{INSIDE_UID}:{INSIDE_UID}::/work:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"
_GROUP = f"gate:x:{INSIDE_UID}:\nnogroup:x:65534:\n"
_HOSTS = "127.0.0.1 localhost\n::1 localhost\n"
_ETC = {"passwd": _PASSWD, "group": _GROUP, "hosts": _HOSTS, "nsswitch.conf": "passwd: files\nhosts: files\n"}


class Sandbox:
    """Runs programs of `dteg.gates.inside` behind bubblewrap; make it with `Sandbox.create`."""

    def __init__(self, environment: BaseEnvironment, folder: Path) -> None:
        """Take a built environment and the folder for jobs; `create` checks that bubblewrap works."""
        self.environment, self.folder = environment, folder
        self.as_root = os.geteuid() == 0

    @classmethod
    def create(cls, folder: Path | None = None) -> "Sandbox":
        """Build or find the base environment and try the sandbox once.

        Raises:
            NoSandboxError: It does not work here; says why.
        """
        absent = [name for name in PROGRAMS if not shutil.which(name)]
        if sys.platform != "linux" or absent:
            reason = f"no {absent[0]} here" if absent else "the sandbox needs Linux"
            raise NoSandboxError(reason, REMEDY if absent else "run the gates on Linux")
        if os.geteuid() == 0 and not shutil.which("setpriv"):
            raise NoSandboxError("no setpriv here", "install util-linux")
        try:
            environment = base_environment(folder)
        except EnvironmentProblemError as error:
            raise NoSandboxError(str(error), "repair the environment and try again") from error
        sandbox = cls(environment, (folder or default_folder()) / "jobs")
        sandbox._try()
        return sandbox

    def run(self, job: Job) -> Outcome:
        """Run one program and wait for its end, and for that of everything it started."""
        with self._uid() as uid, self._visible(job.site) as site, self._etc() as etc:
            parameters = {**job.parameters, "nonce": new_nonce()}
            program = ["/base/" + self.environment.interpreter, "-s", "-P", "-B", "-X", "utf8"]
            command = [*program, "-m", f"dteg.gates.inside.{job.module}"]
            return self._start(job, self._command(job.limits, uid, site, etc) + command, parameters)

    def describe(self) -> dict[str, str]:
        """Name the sandbox and the watch."""
        version = subprocess.run(
            ["bwrap", "--version"], capture_output=True, text=True, check=False
        ).stdout.strip()
        user = "own uid per job" if self.as_root else "uid of the caller"
        return {
            "sandbox": f"{version}, {user}, no network, no new privileges, no nested user namespaces",
            "memory_watch": MemoryWatch.kind,
            "base_environment": self.environment.key,
        }

    def _start(self, job: Job, command: list[str], parameters: dict[str, object]) -> Outcome:
        started = time.monotonic()
        pipes = Pipes(parameters, job.limits)
        with pipes:
            process = subprocess.Popen(
                [*command, str(pipes.parameters_fd)], stdin=subprocess.DEVNULL, stdout=pipes.output_fd,
                stderr=pipes.output_fd, pass_fds=[pipes.parameters_fd, pipes.results_fd], env={}, cwd="/",
                start_new_session=True,
            )  # fmt: skip
            killed = threading.Event()

            def kill() -> None:
                killed.set()
                kill_tree(process.pid)

            pipes.started(kill)
            with MemoryWatch(process.pid, job.limits.memory, kill) as watch:
                late = _wait(process, job.limits.wall_s + KILL_AFTER_S + 3)
                if late:
                    kill()
                    process.wait()
        reason = watch.reason or pipes.reason or _reason(process.returncode, late, job.limits)
        return Outcome(
            pipes.messages, pipes.forged, process.returncode, reason, pipes.log, watch.peak,
            time.monotonic() - started,
        )  # fmt: skip

    def _command(self, limits: Limits, uid: int, site: Path, etc: Path) -> list[str]:
        user = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--no-new-privs"]
        return [
            *(_found(user) if self.as_root else []),
            *_found(["prlimit"]),
            f"--as={limits.address_space}", f"--cpu={limits.cpu_s}", f"--nproc={limits.processes + (0 if self.as_root else _own_tasks())}",
            f"--fsize={limits.file_size}", f"--nofile={limits.open_files}", "--core=0",
            *_found(["timeout"]), f"--kill-after={KILL_AFTER_S}", f"{limits.wall_s:.1f}",
            *_found(["bwrap"]),
            "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session", "--clearenv",
            "--uid", str(INSIDE_UID), "--gid", str(INSIDE_UID), "--hostname", "gate",
            *_roots(), "--ro-bind", str(self.environment.root), "/base", "--ro-bind", str(self.environment.library), "/dteg",
            "--ro-bind", str(site), "/component",
            "--ro-bind", str(etc), "/etc", "--proc", "/proc", "--dev", "/dev",
            # /dev is a tmpfs without limit, /dev/shm a folder of it: both would be memory that nobody counts.
            "--size", str(64 << 20), "--tmpfs", "/dev/shm", "--remount-ro", "/dev",  # noqa: S108 - in the sandbox
            "--size", str(limits.work), "--tmpfs", "/tmp", "--size", str(limits.work), "--tmpfs", "/work",  # noqa: S108
            "--remount-ro", "/", "--chdir", "/work",
            *_environment(),
            "--",
        ]  # fmt: skip

    def _try(self) -> None:
        """Run nothing in a sandbox of the usual form: namespaces may be forbidden by the machine."""
        with self._uid() as uid, self._etc() as etc:
            command = self._command(Limits(wall_s=20), uid, self.environment.root, etc)
            interpreter = "/base/" + self.environment.interpreter
            done = subprocess.run(
                [*command, interpreter, "-s", "-P", "-B", "-c", "import dteg.gates.inside"], stdin=subprocess.DEVNULL, capture_output=True,
                text=True, env={}, cwd="/", check=False,
            )  # fmt: skip
        if done.returncode:
            text = (done.stderr.strip().splitlines() or ["no message"])[-1][:300]
            raise NoSandboxError(
                f"the sandbox does not start: {text}", "allow user namespaces, or run as root"
            )

    @contextlib.contextmanager
    def _uid(self) -> Iterator[int]:
        """Yield a uid that no other job has: the kernel counts processes by uid, and same uids may signal each other."""
        if not self.as_root:
            yield os.getuid()
            return
        uids = self.folder.parent / "uids"
        uids.mkdir(parents=True, exist_ok=True)
        for number in range(UIDS):
            with (uids / str(number)).open("w", encoding="ascii") as handle:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                yield FIRST_UID + number
                return
        raise NoSandboxError(f"{UIDS} jobs run already", "wait for one of them")

    @contextlib.contextmanager
    def _visible(self, site: Path) -> Iterator[Path]:
        """Yield a copy of the unpacked wheel that the job's user can read, whatever the folders above it allow."""
        with self._folder("site-") as copy:
            shutil.copytree(site, copy, dirs_exist_ok=True, symlinks=True)
            _open_up(copy)
            yield copy

    @contextlib.contextmanager
    def _etc(self) -> Iterator[Path]:
        with self._folder("etc-") as folder:
            for name, text in _ETC.items():
                (folder / name).write_text(text, encoding="ascii")
            _open_up(folder)
            yield folder

    @contextlib.contextmanager
    def _folder(self, prefix: str) -> Iterator[Path]:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.as_root:
            self.folder.chmod(0o711)
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=prefix, ignore_cleanup_errors=True) as name:
            yield Path(name)


class NoSandbox:
    """Runs only programs that read the component's files; gates that need more are `unknown`."""

    def __init__(self, reason: str, remedy: str = REMEDY) -> None:
        """Take why there is no sandbox, and what to do."""
        self.reason, self.remedy = reason, remedy

    def run(self, job: Job) -> Outcome:
        """Run a trusted program as a plain child with a time limit.

        Raises:
            NoSandboxError: The job would run code of the component.
        """
        if not job.trusted:
            raise NoSandboxError(f"no sandbox: {self.reason}", self.remedy)
        started = time.monotonic()
        pipes = Pipes({**job.parameters, "nonce": new_nonce(), "component": str(job.site)}, job.limits)
        with pipes:
            process = subprocess.Popen(
                [sys.executable, "-m", f"dteg.gates.inside.{job.module}", str(pipes.parameters_fd)],
                stdin=subprocess.DEVNULL, stdout=pipes.output_fd, stderr=pipes.output_fd,
                pass_fds=[pipes.parameters_fd, pipes.results_fd], start_new_session=True,
            )  # fmt: skip
            pipes.started(process.kill)
            late = _wait(process, job.limits.wall_s)
            if late:
                process.kill()
                process.wait()
        reason = pipes.reason or _reason(process.returncode, late, job.limits)
        return Outcome(
            pipes.messages, pipes.forged, process.returncode, reason, pipes.log, 0, time.monotonic() - started
        )

    def describe(self) -> dict[str, str]:
        """Say that there is none."""
        return {"sandbox": f"none: {self.reason}", "memory_watch": "none"}


def local_runner() -> Runner:
    """Return a sandbox, or why there is none as a `NoSandbox`."""
    try:
        return Sandbox.create()
    except NoSandboxError as error:
        return NoSandbox(error.reason, error.remedy)


def _found(command: list[str]) -> list[str]:
    # The child's environment is empty, so names are looked up here.
    return [shutil.which(command[0]) or command[0], *command[1:]]


def _roots() -> list[str]:
    """Bind /usr read-only, and /bin and /lib as they are here: links into /usr, or folders of their own."""
    arguments = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib64"):
        path = Path("/") / name
        if path.is_symlink():
            arguments += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            arguments += ["--ro-bind", str(path), str(path)]
    return arguments


def _environment() -> list[str]:
    values = {
        "PATH": "/usr/bin:/usr/sbin:/bin", "HOME": "/work", "USER": "gate", "LANG": "C.UTF-8", "TZ": "UTC",
        "LD_LIBRARY_PATH": "/base/python/lib", "PYTHONPATH": "/dteg:/base/site", "PYTHONDONTWRITEBYTECODE": "1",
        # Each keeps an arena and a stack for every core: address space that RLIMIT_AS counts.
        "MALLOC_ARENA_MAX": "2", "OMP_NUM_THREADS": "2", "ARROW_DEFAULT_MEMORY_POOL": "system",
    }  # fmt: skip
    return [part for name, value in values.items() for part in ("--setenv", name, value)]


def _own_tasks() -> int:
    """Return how many processes and threads this user has: the kernel counts them with those of the job."""
    count = 0
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if path.name.isdigit() and path.stat().st_uid == os.getuid():
                count += len(list((path / "task").iterdir()))
    return count


def _open_up(folder: Path) -> None:
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() else 0o644)


def _wait(process: "subprocess.Popen[bytes]", timeout_s: float) -> bool:
    """Wait; return whether it was too late."""
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return True
    return False


def _reason(exit_code: int, late: bool, limits: Limits) -> str:
    if late or exit_code in (124, 137):
        return f"was killed after {limits.wall_s:g} s or by a limit of the kernel"
    return ""
