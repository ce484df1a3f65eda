"""A component as the search keeps it: what is looked at, and its JSON as it will be sent."""

import hashlib
from dataclasses import dataclass

from registry.search.quality import Quality
from registry.search.words import exact


@dataclass(frozen=True, slots=True)
class Entry:
    """One component that can be found.

    Attributes:
        id: `namespace/slug`.
        slug: Name and kind.
        name: Its name in the manifest.
        price: Model of its pricing.
        framework_versions: Versions of dteg it works with, as a range.
        python_versions: Versions of Python, as a range.
        proven: Environments that it passed in, each `dteg|python`.
        verified: Whether it is known who is behind the namespace.
        downloads: In the last 30 days.
        rating: Adjusted stars; 0 without any.
        updated_s: When its newest release was published, in seconds since 1970.
        body: The component as JSON, ready to be sent.
    """

    id: str
    slug: str
    name: str
    kind: str
    category: str
    summary: str
    tags: tuple[str, ...]
    licence: str
    capabilities: tuple[str, ...]
    framework_versions: str
    python_versions: str
    price: str
    tier: str
    verified: bool
    quality: Quality
    body: bytes
    proven: tuple[str, ...] = ()
    downloads: int = 0
    rating: float = 0.0
    updated_s: int = 0

    @property
    def namespace(self) -> str:
        """Whose it is."""
        return self.id.partition("/")[0]

    @property
    def exact_names(self) -> frozenset[str]:
        """What may be typed to mean exactly this one."""
        return frozenset(
            (exact(self.name), exact(self.slug), exact(self.id), exact(f"{self.namespace}/{self.name}"))
        )

    @property
    def tie(self) -> int:
        """A number of 32 bits that is the same in every process: equal ones must not change places between pages."""
        return int.from_bytes(hashlib.blake2b(self.id.encode(), digest_size=4).digest())

    def facets(self) -> dict[str, tuple[str, ...]]:
        """Return its values of each facet; those of versions are ranges."""
        return {
            "kind": (self.kind,),
            "category": (self.category,),
            "capability": self.capabilities,
            "licence": (self.licence,),
            "price": (self.price,),
            "tier": (self.tier,),
            "dteg": (self.framework_versions,),
            "python": (self.python_versions,),
        }


def with_explanation(entry: Entry, explanation: bytes) -> bytes:
    """Return the JSON of an entry with one more member."""
    return b'%s,"explanation":%s}' % (entry.body[:-1], explanation)
