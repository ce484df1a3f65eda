"""What people write for a component: `marketplace://kafka@^1.2`, `dteg://streaming/kafka`, `streaming/kafka`, `kafka`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

from dteg.core.errors import ConfigError, NotFoundError
from dteg.core.suggest import did_you_mean
from dteg.manifest import ComponentKind
from dteg.versions import Range, parse_range

KINDS: tuple[str, ...] = get_args(ComponentKind)
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_NAMESPACE = re.compile(r"[a-z][a-z0-9]{1,38}")
_SHOWN = 8
_FORMS = "write marketplace://NAME@^1.2, dteg://namespace/name, namespace/name or name"


@dataclass(frozen=True, slots=True)
class Reference:
    """A component as somebody named it.

    Attributes:
        namespace: "" if it was left out.
        name: With hyphens; with or without its kind at the end.
        range: The versions that are accepted.
        exact: The one version that was named, as in `@1.2.0`; "" otherwise.
    """

    namespace: str
    name: str
    range: Range
    exact: str = ""

    @property
    def slugs(self) -> tuple[str, ...]:
        """The names that it may mean inside a namespace."""
        return (self.name, *(f"{self.name}-{kind}" for kind in KINDS))

    def means(self, component: str) -> bool:
        """Return whether a component, given as `namespace/slug`, is one that it may mean."""
        namespace, _, slug = component.partition("/")
        return slug in self.slugs and self.namespace in ("", namespace)

    def __str__(self) -> str:
        """Render without the range."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


def parse_reference(text: str) -> Reference:
    """Read what somebody wrote.

    Raises:
        ConfigError: It names no component.
    """
    rest = text.strip()
    for scheme in ("marketplace://", "dteg://"):
        rest = rest.removeprefix(scheme)
    path, at, wanted = rest.partition("@")
    namespace, slash, name = path.rpartition("/")
    name = name.lower().replace("_", "-")
    if not _NAME.fullmatch(name) or (slash and not _NAMESPACE.fullmatch(namespace)) or (at and not wanted):
        raise ConfigError(f"{text[:100]!r} names no component; {_FORMS}")
    wanted = wanted.strip()
    exact = wanted.removeprefix("==").strip()
    return Reference(
        namespace,
        name,
        parse_range(wanted),
        exact if re.fullmatch(r"\d+\.\d+\.\d+(rc\d+)?", exact) else "",
    )


def choose(reference: Reference, components: Iterable[str], place: str = "") -> str:
    """Return the one component that is meant.

    Args:
        reference: What somebody wrote.
        components: Those there are, as `namespace/slug`.
        place: Where these are, if not in the registry; they are listed then, if nothing is near.

    Raises:
        NotFoundError: There is none; with a near miss.
        ConfigError: Several fit; the message lists them.
    """
    known = sorted(set(components))
    fitting = [each for each in known if reference.means(each)]
    exact = [each for each in fitting if each.endswith(f"/{reference.name}")]
    if len(exact) == 1:
        return exact[0]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise ConfigError(f"{reference} may be any of: {', '.join(fitting)}; write one of them")
    slugs = [each.partition("/")[2] for each in known]
    near = did_you_mean(
        str(reference), [*known, *slugs, *(each.rpartition("-")[0] or each for each in slugs)]
    )
    if not near and not place:
        near = f"look for it with: dteg search {reference.name}"
    if not near:
        near = f"there are: {', '.join(known[:_SHOWN]) or 'none'}{' and more' * (len(known) > _SHOWN)}"
    raise NotFoundError(f"there is no component {reference}{f' in {place}' if place else ''}; {near}")
