"""How an API splits its records into pages: config models, and pagers that find the next page and the last one."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import httpx
from pydantic import Field, model_validator

from dteg.connectors.http import HttpResponse, resolve_link, without_query
from dteg.core.config import ConfigModel
from dteg.core.errors import InputError, PermanentError

from .paths import lookup


class _Pagination(ConfigModel):
    max_pages: int = Field(100_000, ge=1, description="More pages than this are an endless loop.")


class _SizedPagination(_Pagination):
    size_param: str | None = Field(None, description="Parameter for the number of records per page.")
    page_size: int | None = Field(None, ge=1, description="Records to ask for per page.")

    @model_validator(mode="after")
    def _size_has_value(self) -> "_SizedPagination":
        if self.size_param and not self.page_size:
            raise ValueError("size_param needs page_size")
        return self

    def size_params(self) -> dict[str, Any]:
        """Return the parameter that asks for the page size, if there is one."""
        return {self.size_param: self.page_size} if self.size_param else {}


class _CountedPagination(_SizedPagination):
    total_path: str | None = Field(None, description="Path in the answer to the number of all records.")
    stop_on_short_page: bool = Field(
        False, description="Take a page with fewer than page_size records for the last one; saves a request."
    )

    @model_validator(mode="after")
    def _short_needs_size(self) -> "_CountedPagination":
        if self.stop_on_short_page and not self.page_size:
            raise ValueError("stop_on_short_page needs page_size")
        return self


class NonePagination(_Pagination):
    """All records in one answer."""

    type: Literal["none"] = Field("none", description="One answer holds all records.")


class PagePagination(_CountedPagination):
    """Page numbers."""

    type: Literal["page"] = Field(description="Count pages.")
    page_param: str = Field("page", description="Parameter for the page number.")
    start_page: int = Field(1, ge=0, description="Number of the first page.")


class OffsetPagination(_CountedPagination):
    """Offset and limit; the offset grows by the records that came, not by those that were asked for."""

    type: Literal["offset"] = Field(description="Count records.")
    offset_param: str = Field("offset", description="Parameter for the number of records to skip.")
    size_param: str | None = Field("limit", description="Parameter for the number of records per page.")
    page_size: int | None = Field(100, ge=1, description="Records to ask for per page.")


class CursorPagination(_SizedPagination):
    """A cursor out of the answer's body, or out of its last record (keyset)."""

    type: Literal["cursor"] = Field(description="Send back a cursor from the body.")
    cursor_param: str = Field("cursor", description="Parameter that takes the cursor.")
    cursor_path: str | None = Field(None, description="Path in the answer to the next cursor.")
    last_record_field: str | None = Field(None, description="Path in the last record to the next cursor.")
    has_more_path: str | None = Field(None, description="Path to a value that is false on the last page.")

    @model_validator(mode="after")
    def _one_source(self) -> "CursorPagination":
        if bool(self.cursor_path) == bool(self.last_record_field):
            raise ValueError("write one of cursor_path and last_record_field")
        return self


class NextTokenPagination(_SizedPagination):
    """A token for the next page, in the body or in a header."""

    type: Literal["next_token"] = Field(description="Send back a token from body or header.")
    token_param: str = Field("next_token", description="Parameter that takes the token.")
    token_path: str | None = Field(None, description="Path in the answer to the token.")
    token_header: str | None = Field(None, description="Header of the answer that holds the token.")

    @model_validator(mode="after")
    def _one_source(self) -> "NextTokenPagination":
        if bool(self.token_path) == bool(self.token_header):
            raise ValueError("write one of token_path and token_header")
        return self


class LinkHeaderPagination(_SizedPagination):
    """`Link: <...>; rel="next"`, as in RFC 8288."""

    type: Literal["link_header"] = Field(description="Follow the Link header.")


class NextUrlPagination(_SizedPagination):
    """The URL of the next page in the body."""

    type: Literal["next_url"] = Field(description="Follow a URL in the body.")
    next_url_path: str = Field("next", description="Path in the answer to the URL of the next page.")


Pagination = Annotated[
    NonePagination
    | PagePagination
    | OffsetPagination
    | CursorPagination
    | NextTokenPagination
    | LinkHeaderPagination
    | NextUrlPagination,
    Field(discriminator="type"),
]


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a stream.

    Attributes:
        number: 1 for the first one.
        response: The answer.
        body: Its JSON.
        records: The records in it.
    """

    number: int
    response: HttpResponse
    body: Any
    records: list[Any]


@dataclass(frozen=True, slots=True)
class Step:
    """How to ask for a page.

    Attributes:
        params: Parameters that name the page.
        url: Whole URL instead, which has all parameters in it.
    """

    params: dict[str, Any] = field(default_factory=dict)
    url: str | None = None


class Pager(ABC):
    """Walks once through the pages of one stream."""

    @abstractmethod
    def first(self) -> Step:
        """Return how to ask for the first page."""

    @abstractmethod
    def after(self, page: Page) -> Step | None:
        """Return how to ask for the page after `page`, or None if it is the last one.

        Raises:
            PermanentError: The pages go round in a circle, or lead away from the API.
        """


class _SinglePager(Pager):
    def first(self) -> Step:
        return Step()

    def after(self, page: Page) -> None:
        return None


class _CountingPager(Pager):
    """Page numbers and offsets; ends with an empty page, the total, or a short page."""

    def __init__(self, config: PagePagination | OffsetPagination) -> None:
        self._config = config
        self._seen = 0
        self._earlier: list[list[Any]] = []

    def first(self) -> Step:
        return self._step(1)

    def after(self, page: Page) -> Step | None:
        if not page.records:
            return None
        self._refuse_repeat(page)
        self._seen += len(page.records)
        config = self._config
        total = lookup(page.body, config.total_path) if config.total_path else None
        if isinstance(total, int) and self._seen >= total:
            return None
        if config.stop_on_short_page and len(page.records) < (config.page_size or 0):
            return None
        return self._step(page.number + 1)

    def _step(self, number: int) -> Step:
        config = self._config
        if isinstance(config, PagePagination):
            place = {config.page_param: config.start_page + number - 1}
        else:
            place = {config.offset_param: self._seen}
        return Step({**place, **config.size_params()})

    def _refuse_repeat(self, page: Page) -> None:
        """Compare with the first page and the one before: a server that ignores the parameter repeats one of them."""
        if page.records in self._earlier:
            raise PermanentError(
                f"{page.response.place}: page {page.number} has the same records as an earlier one; "
                f"the server seems to ignore the parameters of pagination"
            )
        self._earlier = [*self._earlier[:1], page.records]


class _TokenPager(Pager):
    """Cursors and tokens; ends when there is none."""

    def __init__(self, config: CursorPagination | NextTokenPagination) -> None:
        self._config = config
        self._used: set[Any] = set()

    def first(self) -> Step:
        return Step(self._config.size_params())

    def after(self, page: Page) -> Step | None:
        token = self._token(page)
        if token is None or token == "":
            return None
        if isinstance(token, bool) or not isinstance(token, str | int | float):
            raise InputError(
                "the cursor of the next page is neither text nor number", source=page.response.place
            )
        _refuse_used(token, self._used, page)
        param = (
            self._config.cursor_param
            if isinstance(self._config, CursorPagination)
            else self._config.token_param
        )
        return Step({**self._config.size_params(), param: token})

    def _token(self, page: Page) -> Any:
        config = self._config
        if isinstance(config, NextTokenPagination):
            if config.token_header:
                return page.response.headers.get(config.token_header)
            return lookup(page.body, config.token_path or "") or None
        if config.has_more_path and not lookup(page.body, config.has_more_path):
            return None
        if config.cursor_path:
            return lookup(page.body, config.cursor_path) or None
        if not page.records:
            return None
        value = lookup(page.records[-1], config.last_record_field or "")
        if value is None or not isinstance(value, str | int | float):
            raise InputError(
                f"the last record of page {page.number} has no {config.last_record_field}",
                source=page.response.place,
            )
        return value


class _LinkPager(Pager):
    """URLs of the next page; ends when there is none."""

    def __init__(self, config: LinkHeaderPagination | NextUrlPagination) -> None:
        self._config = config
        self._used: set[Any] = set()

    def first(self) -> Step:
        return Step(self._config.size_params())

    def after(self, page: Page) -> Step | None:
        link = self._link(page)
        if not link:
            return None
        if not isinstance(link, str):
            raise InputError("the URL of the next page is not a text", source=page.response.place)
        url = resolve_link(page.response.url, link, "the link to the next page")
        self._used.add(page.response.url)
        _refuse_used(url, self._used, page)
        return Step(url=url)

    def _link(self, page: Page) -> Any:
        if isinstance(self._config, NextUrlPagination):
            return lookup(page.body, self._config.next_url_path)
        # `links` of httpx keeps links by their relation.
        answer = httpx.Response(200, headers={"Link": page.response.headers.get("link", "")})
        return answer.links.get("next", {}).get("url")


def _refuse_used(token: Any, used: set[Any], page: Page) -> None:
    if token in used:
        shown = without_query(page.response.url)
        raise PermanentError(f"{shown}: page {page.number} leads back to a page that was read already")
    used.add(token)


def make_pager(config: Pagination) -> Pager:
    """Return a pager for one walk."""
    match config:
        case NonePagination():
            return _SinglePager()
        case PagePagination() | OffsetPagination():
            return _CountingPager(config)
        case CursorPagination() | NextTokenPagination():
            return _TokenPager(config)
        case LinkHeaderPagination() | NextUrlPagination():
            return _LinkPager(config)
