from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from dteg.marketplace.dependencies import (
    DependencyError,
    excluded,
    needs_of,
    resolve_dependencies,
    to_install,
)
from dteg.marketplace.environment import Installed, InstallerError, _from_report, _from_requirements
from dteg.marketplace.lockfile import LockedDependency

NUMBERS = st.integers(0, 3)
VERSIONS = st.builds("{}.{}.{}".format, NUMBERS, NUMBERS, NUMBERS)
CLAUSES = st.builds("{}{}".format, st.sampled_from(["<", "<=", ">", ">=", "==", "!=", "~="]), VERSIONS)
RANGES = st.lists(CLAUSES, min_size=1, max_size=3).map(",".join).map(SpecifierSet)
ALL = [Version(f"{a}.{b}.{c}") for a in range(5) for b in range(5) for c in range(5)]


@pytest.mark.parametrize(
    ("one", "other", "never"),
    [
        ("<2", ">=2", True),
        ("<2", ">=1.9", False),
        ("~=1.4", ">=2", True),
        ("~=1.4", ">=1.99", False),
        ("==1.*", ">1.5", False),
        ("==1.*", ">=2", True),
        ("", ">=2", False),
        ("!=1.0", "==1.0", True),
        (">=2.0rc1", "<2.0rc1", True),
        (">1", "<1.0.1", False),
    ],
)
def test_ranges_that_exclude_each_other(one, other, never):
    assert excluded(SpecifierSet(one), SpecifierSet(other)) is never


@given(RANGES, RANGES)
def test_ranges_with_a_version_in_common_are_never_called_a_conflict(one, other):
    """The reverse would refuse an install that is possible."""
    if any(version in one and version in other for version in ALL):
        assert not excluded(one, other)


class Index:
    """An installer that answers `compile` from a list of answers."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def compile(self, requirements, constraints):
        self.asked.append((list(requirements), list(constraints)))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Here:
    def __init__(self, **packages):
        self.packages = {}
        for name, (version, *requires) in packages.items():
            package = Installed(name, version, Path("/nowhere"))
            package.__dict__["requires"] = tuple(map(Requirement, requires))
            self.packages[name] = package


def needs(*dependencies, who="a/b 1.0.0"):
    return list(needs_of(who, dependencies))


def test_what_is_installed_is_kept_if_that_works():
    index = Index([LockedDependency("httpx", "0.28.0")])
    resolve_dependencies(needs("httpx>=0.27"), Here(httpx=("0.28.0",)), index)
    assert index.asked == [(["httpx>=0.27"], ["httpx==0.28.0"])]


def test_else_what_installed_packages_need_is_kept():
    index = Index(InstallerError("no"), [LockedDependency("httpx", "0.29.0")])
    old = {"dteg-a-b": ("1.0.0", "httpx==0.28.0")}  # is about to be replaced
    here = Here(httpx=("0.28.0",), other=("1.0", "httpx<1", "gone>1"), **old)
    found, _ = resolve_dependencies(needs("httpx>=0.29"), here, index)
    assert index.asked[1][1] == ["httpx<1"]
    assert found == [LockedDependency("httpx", "0.29.0")]


def test_a_conflict_with_an_installed_package_names_both():
    here = Here(httpx=("0.28.0",), other=("1.0", "httpx<1"))
    with pytest.raises(DependencyError, match=r"a/b 1\.0\.0 wants httpx>=2, other 1\.0 wants httpx<1"):
        resolve_dependencies(needs("httpx>=2"), here, Index())


def test_without_an_index_what_is_installed_is_locked_without_hashes():
    index = Index(InstallerError("no"), InstallerError("no"))
    here = Here(httpx=("0.28.0", "idna>=3"), idna=("3.1",))
    found, notes = resolve_dependencies(needs("httpx"), here, index)
    assert found == [LockedDependency("httpx", "0.28.0"), LockedDependency("idna", "3.1")]
    assert "without hashes" in notes[0]
    assert to_install(found, here.packages) == []
    with pytest.raises(DependencyError, match="locked without hashes"):
        to_install(found, {})


def test_nothing_is_asked_for_nothing():
    assert resolve_dependencies([], Here(), Index()) == ([], [])


def test_a_marker_for_another_system_counts_not():
    assert needs("pywin32; sys_platform == 'win32'") == []


@pytest.mark.parametrize("name", ["dteg", "dteg-streaming-kafka-extractor", "DTEG_streaming.x"])
def test_components_are_not_dependencies(name):
    with pytest.raises(DependencyError, match="never taken from the Python index"):
        needs(name)


def test_what_uv_prints_is_read():
    hashes = ["sha256:" + "ab" * 32, "sha256:" + "cd" * 32]
    text = f"Left.Pad==1.0 \\\n    --hash={hashes[1]} \\\n    --hash={hashes[0]}\nrightpad==2.0+local ; python_version > '3' \\\n    --hash={hashes[0]}\n"
    assert _from_requirements(text) == [
        LockedDependency("left-pad", "1.0", tuple(hashes)),
        LockedDependency("rightpad", "2.0+local", (hashes[0],)),
    ]


def test_what_pip_reports_is_read():
    import json

    entry = {
        "metadata": {"name": "Left.Pad", "version": "1.0"},
        "download_info": {"archive_info": {"hashes": {"sha256": "ab" * 32, "md5": "x"}}},
    }
    assert _from_report(json.dumps({"install": [entry]})) == [
        LockedDependency("left-pad", "1.0", ("sha256:" + "ab" * 32,))
    ]
