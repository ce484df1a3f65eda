"""`dteg` in a scratch environment of its own: components are installed there, everything else is borrowed from ours."""

import io
import os
import subprocess
import sys
import sysconfig
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

import pytest

from dteg.cli.main import run_app
from dteg.core.clock import utc_now
from dteg.marketplace.environment import Environment, find_uv
from dteg.marketplace.mirror import make_mirror
from dteg.testing.marketplace import MemoryMarketplace
from tests.factories import make_wheel

HERE = Path(__file__).parent
DTEG = ["-c", "from dteg.cli import main; main()"]
COMPONENT = "streaming/numbers-extractor"
# These talk with a registry, and it does not matter in which environment: they run in this process, for speed.
TALKS = frozenset({"deprecate", "key", "login", "logout", "namespace", "publish", "search", "token", "yank"})


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def text(self):
        return self.out + self.err


class Scratch:
    """A project and a virtual environment, both empty; `run` calls dteg in them as a program."""

    def __init__(self, folder: Path, index: Path):
        self.folder = folder
        self.project, self.prefix, self.config = folder / "project", folder / "venv", folder / "config"
        subprocess.run(
            [find_uv(), "venv", "--quiet", "--no-config", "--python", sys.executable, str(self.prefix)],
            check=True,
        )
        name = f"python{sys.version_info.major}.{sys.version_info.minor}"
        self.site = self.prefix / "lib" / name / "site-packages"
        # Nested .pth files, such as that of dteg itself, count only this way.
        ours = sysconfig.get_path("purelib")
        (self.site / "borrowed.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
        (self.project / "pipelines").mkdir(parents=True)
        self.python = self.prefix / "bin" / "python"
        self.index = index
        index.mkdir(parents=True, exist_ok=True)
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("DTEG_", "UV_", "PIP_", "COV_"))}
        self.environ = {
            **kept, "DTEG_CONFIG_DIR": str(self.config), "DTEG_CACHE_DIR": str(folder / "cache"), "NO_COLOR": "1",
            "UV_CACHE_DIR": str(folder / "uv"), "UV_FIND_LINKS": str(index), "UV_NO_INDEX": "1", "UV_OFFLINE": "1",
            "PATH": os.pathsep.join([str(Path(find_uv()).parent), os.environ["PATH"]]), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index),
        }  # fmt: skip

    def command(self, *arguments):
        return [str(self.python), *DTEG, *map(str, arguments)]

    def run(self, *arguments, code=0, **environ):
        ask = self._ask_here if arguments[0] in TALKS else self._ask
        done = ask([str(each) for each in arguments], {**self.environ, **environ})
        assert "Traceback" not in done.err, done.err
        assert done.code == code, done
        return done

    def _ask(self, arguments, environ):
        done = subprocess.run(
            self.command(*arguments), cwd=self.project, env=environ, text=True, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    def _ask_here(self, arguments, environ):
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name in set(os.environ) - set(environ):
                patch.delenv(name)
            for name, value in environ.items():
                patch.setenv(name, value)
            patch.chdir(self.project)
            return Done(run_app(arguments), out.getvalue(), err.getvalue())

    def python_says(self, code):
        return subprocess.run(
            [str(self.python), "-c", code], cwd=self.project, env=self.environ, text=True, capture_output=True,
            check=True, timeout=60,
        ).stdout.strip()  # fmt: skip

    def environment(self):
        return Environment(self.site, self.prefix, self.python)

    def files(self):
        """Return what lies in the environment beside what dteg notes for itself, without compiled files."""
        return {
            str(path.relative_to(self.site)): path.read_bytes()
            for path in sorted(self.site.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }

    def version(self, distribution="dteg-streaming-numbers-extractor"):
        names = [path.name for path in self.site.glob(f"{distribution.replace('-', '_')}-*.dist-info")]
        assert len(names) <= 1, names
        return names[0].removesuffix(".dist-info").rpartition("-")[2] if names else None

    @property
    def lock(self):
        return self.project / "dteg.lock"


@pytest.fixture
def scratch(tmp_path):
    assert find_uv(), "uv must be installed: these tests make virtual environments"
    return Scratch(tmp_path / "scratch", tmp_path / "index")


@pytest.fixture
def market():
    return MemoryMarketplace()


@pytest.fixture
def wheels(tmp_path):
    """Make wheels of small components; each call has a folder of its own."""
    made = []

    def wheel(**component):
        made.append(None)
        return make_wheel(tmp_path / "components" / str(len(made)), **component)

    return wheel


@pytest.fixture
def mirror(market, tmp_path):
    """Write what is in the marketplace into a folder, and return its URL."""

    def write(*components):
        folder = tmp_path / "mirror"
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DTEG_CONFIG_DIR", str(tmp_path / "mirror-config"))
            make_mirror(market, folder, components or (COMPONENT,), utc_now())
        return folder.as_uri()

    return write


@pytest.fixture
def package(tmp_path):
    """Put a package into the index that stands for PyPI."""
    import base64
    import hashlib
    import zipfile

    def make(name, version, requires=()):
        index = tmp_path / "index"
        index.mkdir(parents=True, exist_ok=True)
        info = f"{name}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        metadata += "".join(f"Requires-Dist: {each}\n" for each in requires)
        files = {
            f"{name}/__init__.py": f"version = {version!r}\n",
            f"{info}/METADATA": metadata,
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = ""
        with zipfile.ZipFile(index / f"{name}-{version}-py3-none-any.whl", "w") as archive:
            for path, text in files.items():
                archive.writestr(path, text)
                digest = (
                    base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
                )
                record += f"{path},sha256={digest},{len(text)}\n"
            archive.writestr(f"{info}/RECORD", record + f"{info}/RECORD,,\n")

    return make
