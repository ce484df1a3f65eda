"""What one may ask of the search, and what it answers."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from dteg.manifest import ComponentKind
from registry.documents import Answer, Body

MAX_QUERY = 200
MAX_OFFSET = 10_000
FACETS = ("kind", "category", "capability", "licence", "price", "tier", "dteg", "python")

_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 .+_()-]{0,79}$")]
_Words = Annotated[list[_Word], Field(max_length=10)]
_Version = Annotated[str, Field(pattern=r"^(\d{1,4}(\.\d{1,6}){1,2}(rc\d{1,4})?)?$")]


class Sort(StrEnum):
    """Orders of a result."""

    RELEVANCE = "relevance"
    QUALITY = "quality"
    DOWNLOADS = "downloads"
    RATING = "rating"
    UPDATED = "updated"
    NAME = "name"


class ListQuery(Body):
    """Which components, without ranking by text. Several values of one filter mean any of them."""

    kind: Annotated[list[ComponentKind], Field(max_length=10)] = Field([], description="What it does.")
    category: _Words = Field([], description="Shelf.")
    capability: _Words = Field([], description="What it needs: network, filesystem, subprocess, native.")
    licence: _Words = Field([], description="SPDX identifier.")
    price: _Words = Field([], description="free, premium, enterprise or usage.")
    tier: _Words = Field([], description="listed, proven or popular.")
    dteg: _Version = Field("", description="Works with this version of dteg, such as 0.1.0.")
    python: _Version = Field("", description="Works with this version of Python, such as 3.12.")
    sort: Sort = Field(Sort.RELEVANCE, description="Without words, relevance is quality.")
    limit: int = Field(20, ge=1, le=100, description="Most items of the answer.")
    offset: int = Field(0, ge=0, le=MAX_OFFSET, description="Items to leave out.")


class SearchQuery(ListQuery):
    """Which components, by words too."""

    q: str = Field("", max_length=MAX_QUERY, description="Words; all of them only words, never operators.")
    explain: bool = Field(False, description="Say of each item why it stands where it does.")


class FacetValue(Answer):
    """One value that a filter can have, and how many components have it beside the other filters."""

    value: str
    count: int


class Explanation(Answer):
    """Why an item stands where it does.

    Attributes:
        text: How well the words fit, 1 for the best of all results.
        exact: Whether the words are its name: such stand first, those of verified namespaces before others.
        quality: The parts of quality, each from 0 to 1, and their weighted sum as `total`.
        final: text x (0.5 + 0.5 x total).
    """

    text: float
    exact: bool
    verified: bool
    quality: dict[str, float]
    final: float


class Hit(BaseModel):
    """A component, as `GET /components/{ns}/{slug}` answers it; with `explanation` if that was asked for."""

    model_config = ConfigDict(extra="allow")

    explanation: Explanation | None = None


class SearchAnswer(Answer):
    """One page of a result.

    Attributes:
        total: How many there are, whatever the page.
        did_you_mean: The words as they may have been meant; None if all are known.
        stale: Whether the database has not answered for a while, so that newer releases may be missing.
    """

    total: int
    items: list[Hit]
    facets: dict[str, list[FacetValue]]
    did_you_mean: str | None
    stale: bool


class Found(BaseModel):
    """One page of a result, for the pages of this registry."""

    model_config = ConfigDict(frozen=True)

    total: int
    items: list[dict[str, Any]]
    facets: dict[str, list[FacetValue]]
    did_you_mean: str | None
    stale: bool
