"""The components that a pipeline lists under `components.marketplace` must be there, in a version of its range."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dteg.connectors.discovery import Components
from dteg.core.errors import ConfigError

if TYPE_CHECKING:
    from dteg.pipelines.spec import MarketplaceComponent


def missing_components(
    declared: "list[MarketplaceComponent]", found: Components
) -> Iterator[tuple[int, str]]:
    """Yield the place in the list of each component that is missing or of another version, and what to do.

    Args:
        declared: What the pipeline lists.
        found: What is there.
    """
    if not declared:
        return
    from dteg.versions import parse_range  # few pipelines need it, and it takes time to import

    for number, each in enumerate(declared):
        there = _named(each.source, found)
        try:
            wanted = parse_range(each.version)
        except ConfigError as error:
            yield number, str(error)
            continue
        if not there:
            yield number, f"{each.source} is not installed; install what pipelines need with: dteg install"
        elif not any(wanted.contains(version, True) for version in there):
            have = ", ".join(sorted(there))
            yield (
                number,
                f"{each.source} is installed as {have}, not {wanted}; run: dteg install {each.source}@{each.version}",
            )


def _named(source: str, found: Components) -> set[str]:
    """Return the versions of the components that a source names, copies in the project included."""
    namespace, _, name = source.removeprefix("dteg://").rpartition("/")
    slug = name.replace("_", "-")
    return {
        each.manifest.version
        for each in found.everything
        if each.manifest.namespace == namespace
        and slug in (each.manifest.slug, each.manifest.name.replace("_", "-"))
    }
