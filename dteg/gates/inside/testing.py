"""How the programs of the sandbox run pytest over an installed component."""

import functools
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

PLUGINS = ("dteg.testing.fixtures",)
# Named one by one: of a package with a plugin that pytest finds by itself it compiles every module again at each start.
FOUND_PLUGINS = ("pytest_timeout", "_hypothesis_pytestplugin", "anyio.pytest_plugin")
MARKERS = "unit: no I/O\nintegration: needs a server\ne2e: from outside\nfaults: cuts and kills\nslow: left out here"


def pytest_arguments(folder: Path, timeout_s: float) -> list[str]:
    """Return the arguments: our configuration, whatever files of the component say."""
    arguments = [
        str(folder),
        "--rootdir=/component",
        "-c",
        "/dev/null",
        "--import-mode=importlib",
        "-q",
        "--tb=short",
    ]
    arguments += [
        "-o",
        "consider_namespace_packages=true",
        f"--timeout={timeout_s:g}",
        "-p",
        "no:cacheprovider",
    ]
    arguments += ["-o", "python_files=test_*.py", "--capture=fd", "--color=no", "-ra", "--show-capture=no"]
    arguments += ["-o", f"markers={MARKERS}", "-m", "not slow"]
    found = [name for name in FOUND_PLUGINS if importlib.util.find_spec(name.partition(".")[0])]
    arguments += [
        "--disable-plugin-autoload",
        *(part for plugin in (*found, *PLUGINS) for part in ("-p", plugin)),
    ]
    return [*arguments, "--basetemp=/tmp/pytest"]


def subject_of(item: Any) -> str:
    """Return `module:Class` of the connector that a contract class is about; empty for any other test."""
    from dteg.testing.connector_contract import ConnectorContract

    cls = getattr(item, "cls", None)
    case = item.funcargs.get("case") if isinstance(cls, type) and issubclass(cls, ConnectorContract) else None
    if case is None:
        return ""
    subject = case.subject.cls
    return f"{subject.__module__}:{subject.__qualname__}"


def record_promises() -> dict[str, set[str]]:
    """Wrap the tests of the contract suites, and return where those that ran to their end are written down.

    By what ran, not by the names of tests: a class may override a test and call the suite's own from there, but a
    test that only has the name of one of the suite's says nothing.
    """
    from dteg.testing.connector_contract import ConnectorContract
    from dteg.testing.contract import _SUITES

    kept: dict[str, set[str]] = {}
    for suite in (ConnectorContract, *(suite for _, suite in _SUITES)):
        for name, function in list(vars(suite).items()):
            if name.startswith("test_"):
                setattr(suite, name, _recorded(name, function, kept))
    return kept


def _recorded(name: str, function: Callable[..., None], kept: dict[str, set[str]]) -> Callable[..., None]:
    @functools.wraps(function)
    def wrapper(self: object, case: Any, **given: Any) -> None:
        function(self, case, **given)
        subject = case.subject.cls
        kept.setdefault(f"{subject.__module__}:{subject.__qualname__}", set()).add(name)

    return wrapper
