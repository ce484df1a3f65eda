"""What routes share: pages of a list, answers with an ETag, and streams of events."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel

from dteg.core.errors import ConflictError
from studio.services import services_of

ItemT = TypeVar("ItemT")
MAX_LIMIT = 1000
HEARTBEAT_S = 15.0
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Most items in one answer.")]
After = Annotated[
    str, Query(max_length=500, pattern=r"^[^\x00-\x1f]*$", description="`next` of the answer before.")
]


class Page(BaseModel, Generic[ItemT]):
    """A part of a list.

    Attributes:
        items: The things.
        next: What `after` of the next request is; null at the end.
    """

    items: list[ItemT]
    next: str | None = None


def page_of(items: Iterable[ItemT], limit: int, after: str, key: Callable[[ItemT], str]) -> Page[ItemT]:
    """Return a part of a list that is had as a whole.

    Args:
        items: All, in any order.
        limit: Most to return.
        after: Key of the last one that was seen; "" begins.
        key: What they are sorted by; each has another one.
    """
    found = sorted((each for each in items if key(each) > after), key=key)
    return Page(items=found[:limit], next=key(found[limit - 1]) if len(found) > limit else None)


def etag_of(value: BaseModel) -> str:
    """Return what differs when the value does."""
    body = value.model_dump_json().encode()
    return f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'


def with_etag(request: Request, value: BaseModel) -> Response:
    """Return a value as JSON with its ETag; only 304 if the client has that one. Declare `response_model` yourself."""
    etag = etag_of(value)
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if etag in request.headers.get("if-none-match", "").split(", "):
        return Response(status_code=304, headers=headers)
    return Response(value.model_dump_json(), media_type="application/json", headers=headers)


def require_match(request: Request, value: BaseModel) -> None:
    """Refuse a change by who has seen another state than the present one (`If-Match`).

    Raises:
        ConflictError: It was changed meanwhile.
    """
    wanted = request.headers.get("if-match", "")
    if wanted and wanted != "*" and etag_of(value) not in wanted.split(", "):
        raise ConflictError("it was changed meanwhile: read it again")


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event of a stream.

    Attributes:
        data: Any JSON.
        id: Where a client goes on after a broken connection (`Last-Event-ID`); "" for none.
        event: Its kind; "" for a plain message.
    """

    data: Any
    id: str = ""
    event: str = ""

    def encode(self) -> bytes:
        """Return it as text/event-stream wants it."""
        lines = [f"id: {_line(self.id)}"] if self.id else []
        if self.event:
            lines.append(f"event: {_line(self.event)}")
        # JSON in one line: a line break inside would end the field.
        lines.append(f"data: {json.dumps(self.data, ensure_ascii=False, separators=(',', ':'), default=str)}")
        return ("\n".join(lines) + "\n\n").encode("utf-8", "replace")


def event_stream(
    request: Request, events: AsyncIterator[ServerEvent], *, heartbeat_s: float = HEARTBEAT_S
) -> StreamingResponse:
    """Return events as they come (Server-Sent Events), until the client leaves or the studio stops.

    Args:
        request: The request.
        events: The source; it is closed at the end, so its `finally` blocks run.
        heartbeat_s: Silence after which a comment shows both sides that the connection lives.
    """
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(
        _stream(request, events, heartbeat_s), media_type="text/event-stream", headers=headers
    )


async def _stream(
    request: Request, events: AsyncIterator[ServerEvent], heartbeat_s: float
) -> AsyncIterator[bytes]:
    stopping = services_of(request).stopping
    waiting: asyncio.Task[ServerEvent] | None = None
    silent_s = 0.0
    try:
        yield b": begin\n\n"  # headers go out at once, so that a client knows that it is connected
        while not stopping.is_set():
            waiting = waiting or asyncio.ensure_future(anext(events))
            step = min(0.5, heartbeat_s)
            done, _ = await asyncio.wait({waiting}, timeout=step)
            if done:
                if isinstance(waiting.exception(), StopAsyncIteration):
                    return
                event = waiting.result()
                waiting, silent_s = None, 0.0
                yield event.encode()
                continue
            silent_s += step
            if silent_s >= heartbeat_s:
                silent_s = 0.0
                yield b": still here\n\n"
    finally:
        if waiting is not None:
            waiting.cancel()
            await asyncio.wait({waiting}, timeout=5)
        if (close := getattr(events, "aclose", None)) is not None:
            await close()


def _line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ").replace("\0", " ")
