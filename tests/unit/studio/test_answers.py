import asyncio
import json
import threading
from types import SimpleNamespace

import pytest
from pydantic import BaseModel

from dteg.core.errors import ConflictError
from studio.answers import ServerEvent, _stream, etag_of, page_of, require_match, with_etag


class Thing(BaseModel):
    id: str
    size: int = 0


def request_with(**headers):
    state = SimpleNamespace(services=SimpleNamespace(stopping=threading.Event()))
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return SimpleNamespace(headers=named, app=SimpleNamespace(state=state))


def test_a_list_is_had_in_parts_that_neither_repeat_nor_miss():
    things = [Thing(id=f"{number:03}") for number in (5, 1, 4, 2, 3)]
    seen, after = [], ""
    while True:
        page = page_of(things, 2, after, key=lambda thing: thing.id)
        seen += [each.id for each in page.items]
        if page.next is None:
            break
        after = page.next
    assert seen == ["001", "002", "003", "004", "005"]


def test_a_full_last_part_has_no_next():
    assert page_of([Thing(id="a"), Thing(id="b")], 2, "", key=lambda thing: thing.id).next is None


def test_who_has_it_already_gets_nothing_more():
    thing = Thing(id="a")
    answer = with_etag(request_with(), thing)
    assert json.loads(answer.body) == {"id": "a", "size": 0}
    again = with_etag(request_with(if_none_match=answer.headers["etag"]), thing)
    assert (again.status_code, again.body) == (304, b"")
    other = with_etag(request_with(if_none_match=answer.headers["etag"]), Thing(id="a", size=1))
    assert other.status_code == 200


def test_a_change_of_what_was_changed_is_refused():
    thing = Thing(id="a")
    require_match(request_with(), thing)
    require_match(request_with(if_match="*"), thing)
    require_match(request_with(if_match=etag_of(thing)), thing)
    with pytest.raises(ConflictError, match="read it again"):
        require_match(request_with(if_match=etag_of(thing)), Thing(id="a", size=1))


def test_an_event_cannot_break_out_of_its_lines():
    event = ServerEvent({"a": "x\n\nevent: y"}, id="1\nevent: z", event="k\r\n")
    assert event.encode().decode().split("\n") == [
        "id: 1 event: z", "event: k  ", 'data: {"a":"x\\n\\nevent: y"}', "", "",
    ]  # fmt: skip


class Source:
    def __init__(self, *events, endless=False):
        self.closed, self.events, self.endless = False, events, endless

    async def __call__(self):
        try:
            for event in self.events:
                yield event
            if self.endless:
                await asyncio.Event().wait()
        finally:
            self.closed = True


def collect(source, request, *, heartbeat_s=15.0, stop_after=None):
    async def run():
        parts = []
        async for part in _stream(request, source(), heartbeat_s):
            parts.append(part)
            if stop_after == len(parts):
                request.app.state.services.stopping.set()
        return parts

    return asyncio.run(asyncio.wait_for(run(), 20))


def test_a_stream_begins_at_once_and_ends_with_its_source():
    source = Source(ServerEvent(1), ServerEvent(2))
    assert collect(source, request_with()) == [b": begin\n\n", b"data: 1\n\n", b"data: 2\n\n"]
    assert source.closed


def test_a_silent_stream_shows_that_it_lives_and_ends_when_the_studio_stops():
    source = Source(ServerEvent(1), endless=True)
    parts = collect(source, request_with(), heartbeat_s=0.05, stop_after=4)
    assert parts == [b": begin\n\n", b"data: 1\n\n", b": still here\n\n", b": still here\n\n"]
    assert source.closed


def test_an_error_of_the_source_ends_the_stream_and_closes_it():
    closed = []

    async def failing():
        try:
            yield ServerEvent(1)
            raise ConflictError("away")
        finally:
            closed.append(True)

    with pytest.raises(ConflictError):
        collect(failing, request_with())
    assert closed == [True]
