"""Components: what all releases of one name have in common, as lists show it."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from registry.documents import Answer, Document
from registry.releases.models import Reason

PROVEN_RATING = 4.0
PROVEN_REVIEWS = 5
POPULAR_DOWNLOADS = 1000


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Latest(_Part):
    """The newest versions that are listed and rolled out to everybody; None without one."""

    stable: str | None = None
    rc: str | None = None

    @property
    def any(self) -> str | None:
        """The newest release, else the newest candidate."""
        return self.stable or self.rc


class Deprecation(_Part):
    """Why nobody should begin to use a component, and what to use instead ("" without)."""

    reason: str
    replacement: str = ""


class Rating(_Part):
    """Stars of people who installed it.

    Attributes:
        count: Reviews.
        mean: Plain mean; None without reviews.
        adjusted: Mean drawn to that of all components where there are few reviews.
        histogram: Reviews with one star, two, … five.
    """

    count: int = 0
    mean: float | None = None
    adjusted: float | None = None
    histogram: list[int] = [0, 0, 0, 0, 0]


class Downloads(_Part):
    """Downloads and installations.

    Attributes:
        total: Downloads ever, robots and mirrors too.
        last_30_days: Of these, in the last 30 days.
        installs: Installations that reported themselves.
        kept_rate: Share of them still there after 30 days; None when too few are known.
    """

    total: int = 0
    last_30_days: int = 0
    installs: int = 0
    kept_rate: float | None = None


class Component(Document):
    """A name under which releases appear; its id is `namespace/slug`.

    Attributes:
        namespace: Whose it is.
        slug: Name in the namespace.
        look: What the slug looks like, unique in the namespace.
        distribution: Name of the Python package.
        name: Name in pipelines.
        kind: What it does in a pipeline.
        category: Shelf.
        summary: One sentence.
        tags: More words it is found by.
        pricing: What it costs.
        latest: Newest versions; both None until a release is listed.
        deprecation: Set when nobody should begin to use it.
        rating: Stars.
        downloads: Downloads.
        score: 0 to 100, from the gates of the newest release.
        verified: Whether the namespace is verified.
        licence: SPDX identifier of the newest release, as all that follows up to `released_at`.
        capabilities: What it needs from the machine.
        framework_versions: Versions of dteg it works with, as a range.
        python_versions: Versions of Python, as a range.
        proven: Environments that it passed its tests in, each `dteg|python`.
        tested: Environments that it was tested in.
        released_at: When it was published.
        created_at: When the name was taken.
        updated_at: When something about it changed.
        rev: Grows with each change of any component; what watches polls for larger ones.
    """

    namespace: str
    slug: str
    look: str
    distribution: str
    name: str
    kind: str
    category: str
    summary: str
    tags: list[str] = Field(default=[])
    pricing: dict[str, Any] = Field(default={})
    latest: Latest = Latest()
    deprecation: Deprecation | None = None
    rating: Rating = Rating()
    downloads: Downloads = Downloads()
    score: int | None = None
    verified: bool = False
    licence: str = ""
    capabilities: list[str] = Field(default=[])
    framework_versions: str = ""
    python_versions: str = ""
    proven: list[str] = Field(default=[])
    tested: int = 0
    released_at: datetime | None = None
    created_at: datetime
    updated_at: datetime
    rev: int = 0

    @property
    def listed(self) -> bool:
        """Whether it has a release that may be installed."""
        return self.latest.any is not None

    @property
    def tier(self) -> str:
        """`listed`, `proven` (rated well) or `popular` (rated well, and downloaded much)."""
        if (self.rating.adjusted or 0) < PROVEN_RATING or self.rating.count < PROVEN_REVIEWS:
            return "listed"
        return "popular" if self.downloads.last_30_days >= POPULAR_DOWNLOADS else "proven"


class NewDeprecation(Reason):
    """Why, and what to use instead."""

    replacement: str = Field(
        "", pattern=r"^([a-z][a-z0-9]{1,38}/[a-z][a-z0-9]*(-[a-z0-9]+)*)?$", max_length=140,
        description="`namespace/slug` of a component that takes its place.",
    )  # fmt: skip


class ComponentAnswer(Answer):
    """A component as everybody sees it."""

    id: str
    namespace: str
    slug: str
    name: str
    kind: str
    category: str
    summary: str
    tags: list[str]
    latest: Latest
    status: str
    deprecation: Deprecation | None
    rating: Rating
    downloads: Downloads
    score: int | None
    tier: str
    pricing: dict[str, Any]
    updated_at: datetime
    verified: bool

    @classmethod
    def of(cls, component: Component) -> "ComponentAnswer":
        """Return the answer about a component."""
        shown = component.model_dump(exclude={"rev", "look", "schema_version", "distribution", "created_at"})
        return cls(**shown, status="deprecated" if component.deprecation else "active", tier=component.tier)
