"""Chooses a release, and says why none or why not the newest."""

import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from dteg import __version__
from dteg.core.errors import NotFoundError, RegistryError
from dteg.marketplace.records import Release, Rollout
from dteg.versions import Range, parse_range, parse_version

ANY_VERSION = parse_range("")
PASSED = ("passed", "pass", "proven")


class UnsuitableError(RegistryError):
    """There are releases, but none that may be installed here: the message says why for each."""


@dataclass(frozen=True, slots=True)
class Here:
    """What a release has to work with.

    Attributes:
        dteg: Version of dteg.
        python: Version of Python.
    """

    dteg: str = __version__
    python: str = platform.python_version()

    @property
    def python_minor(self) -> str:
        """Such as `3.11`, as proven cells name it."""
        return ".".join(self.python.split(".")[:2])


@dataclass(frozen=True, slots=True)
class Wish:
    """Which releases may be chosen.

    Attributes:
        ranges: All must hold.
        exact: The one version that was named; "" otherwise.
        prereleases: Whether release candidates count.
        min_age: Younger ones do not count.
        keep: Stay at this version if it is still good, or only yanked; "" to take the best.
        share: Where this installation stands among all, 0 to 99, for releases that are rolled out to a part.
    """

    ranges: Sequence[Range] = ()
    exact: str = ""
    prereleases: bool = False
    min_age: timedelta = timedelta()
    keep: str = ""
    share: int = 0


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen.

    Attributes:
        release: It.
        proven: Whether it was tested with this dteg and Python.
        notes: What the user should know, such as a newer one that was passed over.
    """

    release: Release
    proven: bool
    notes: tuple[str, ...] = ()


def choose_release(
    component: str, releases: Iterable[Release], wish: Wish, now: datetime, here: Here | None = None
) -> Choice:
    """Choose a release: what is proven here before what is not, then the newest.

    Args:
        component: Whose, as `namespace/slug`.
        releases: All there are.
        wish: What may be chosen.
        now: The time, for the age.
        here: Versions it must work with; default: the running ones.

    Raises:
        NotFoundError: There is no release at all.
        UnsuitableError: None may be installed; says why.
    """
    here = here or Here()
    newest_first = sorted(releases, key=lambda each: parse_version(each.version), reverse=True)
    if not newest_first:
        raise NotFoundError(f"{component} has no release that this dteg can read")
    refused = {each.version: refusal(each, wish, now, here) for each in newest_first}
    good = [each for each in newest_first if not refused[each.version]]
    for each in newest_first:
        if each.version == wish.keep and not _refusal_to_keep(each, wish, now, here):
            warning = (f"{each.version} was yanked: {each.reason}",) if each.state == "yanked" else ()
            return Choice(each, proven(each, here), warning)
    if not good:
        lines = [f"  {version}: {why}" for version, why in refused.items() if why][:8]
        wanted = ", ".join(str(each) for each in wish.ranges) or "any version"
        raise UnsuitableError(f"no release of {component} ({wanted}) can be installed:\n" + "\n".join(lines))
    best = next((each for each in good if proven(each, here)), good[0])
    passed = []
    if best is not good[0]:
        passed.append(
            f"{good[0].version} is newer, but not proven with dteg {here.dteg} on Python {here.python_minor}; "
            f"take it with {component}@{good[0].version}"
        )
    passed_over = newest_first[: newest_first.index(best)]
    passed += [
        f"{each.version} was passed over: {why}" for each in passed_over if (why := refused[each.version])
    ]
    return Choice(best, proven(best, here), tuple(passed))


def refusal(release: Release, wish: Wish, now: datetime, here: Here) -> str:
    """Say why a release may not be installed; "" if it may."""
    if release.state == "yanked":
        return f"yanked: {release.reason or 'no reason given'}"
    if release.state != "listed":
        return release.state + (f": {release.reason}" if release.reason else "")
    wanted = wish.prereleases or bool(wish.exact)
    for each in wish.ranges or (ANY_VERSION,):
        if not each.contains(release.version, wanted):
            return (
                "is a release candidate; take it with --pre"
                if each.contains(release.version, True)
                else f"is not in {each}"
            )
    if why := incompatible(release, here):
        return why
    if release.rollout.halted:
        return "its rollout was halted"
    if wish.share >= release.rollout.percent and not wish.exact:
        return f"rolled out to {release.rollout.percent} % of installations so far, not to this one"
    if wish.min_age and (release.published_at is None or now - release.published_at < wish.min_age):
        return f"younger than the least age of {_days(wish.min_age)}"
    if _cell(release, here) == "failed":
        return f"failed its tests with dteg {here.dteg} on Python {here.python_minor}"
    return ""


def _refusal_to_keep(release: Release, wish: Wish, now: datetime, here: Here) -> str:
    """Who has a release keeps it when it was yanked, or when its rollout was halted."""
    kept = {"state": "listed" if release.state == "yanked" else release.state, "rollout": Rollout()}
    return refusal(release.model_copy(update=kept), wish, now, here)


def incompatible(release: Release, here: Here) -> str:
    """Say why a release does not work with the running dteg and Python; "" if it does."""
    manifest = release.manifest
    for name, wanted, have in (
        ("dteg", manifest.framework_versions, here.dteg),
        ("Python", manifest.python_versions, here.python),
    ):
        if not SpecifierSet(wanted).contains(Version(have), prereleases=True):
            return f"needs {name} {wanted}, this is {have}"
    return ""


def proven(release: Release, here: Here) -> bool:
    """Return whether a release passed its tests with this dteg and Python."""
    return _cell(release, here) == "passed"


def _cell(release: Release, here: Here) -> str:
    found = ""
    for cell in release.compatibility:
        if cell.dteg == here.dteg and ".".join(cell.python.split(".")[:2]) == here.python_minor:
            found = (
                "passed" if cell.status in PASSED else "failed" if cell.status.startswith("fail") else found
            )
    return found


def _days(span: timedelta) -> str:
    return f"{span.days} days" if span.days else f"{span.total_seconds() / 3600:.0f} hours"
