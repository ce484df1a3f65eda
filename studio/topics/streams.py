"""Live messages: Server-Sent Events for reading, a WebSocket also for the members of a group."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Coroutine
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from dteg.core.errors import DtegError
from dteg.topics.models import Delivery, Message, Start, parse_start
from dteg.topics.service import Topics
from studio.access import Principal, Scope, allow
from studio.answers import ServerEvent, event_stream
from studio.services import services_of
from studio.topics.bells import Bells, bells_of
from studio.topics.models import MemberWord

router = APIRouter()

Name = Annotated[str, Path(max_length=100, description="Name of the topic.")]
StartQuery = Annotated[str, Query(max_length=64, description="earliest, latest, an offset or a time.")]
Subscriber = Annotated[Principal, allow(Scope.SUBSCRIBE)]
_BATCH = 100
_LOOK_S = 1.0
_LEASE_S = 30.0
# What a client has and has not said anything about; then it gets no more until it does.
_MAX_OPEN = 500


@router.get(
    "/topics/{topic}/events",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}, "description": "Each event is a message."}},
)
async def stream_messages(
    request: Request, topic: Name, who: Subscriber, start: StartQuery = "latest"
) -> StreamingResponse:
    """Stream messages from a place on (Server-Sent Events); a client that reconnects goes on where it was."""
    who.require_topic(topic)
    topics = services_of(request).topics
    last = request.headers.get("last-event-id", "")
    place: Start = (
        int(last) + 1 if last.isascii() and last.isdecimal() and len(last) < 19 else parse_start(start)
    )
    # Before the answer begins, so that a wrong name is an error and no empty stream.
    following = await run_in_threadpool(topics.head, topic)
    return event_stream(
        request, _events(topics, bells_of(request), topic, following if place == "latest" else place)
    )


@router.websocket("/topics/{topic}/ws")
async def subscribe_live(
    socket: WebSocket,
    topic: Name,
    who: Subscriber,
    start: StartQuery = "",
    group: Annotated[str, Query(max_length=100)] = "",
) -> None:
    """Send messages as they come; to a member of a group deliveries, which it answers with `MemberWord`s."""
    who.require_topic(topic)
    topics = services_of(socket).topics
    place = parse_start(start or ("earliest" if group else "latest"))
    if group:
        await run_in_threadpool(topics.subscribe, topic, group, place)
    elif place == "latest":
        place = await run_in_threadpool(topics.head, topic)
    else:
        await run_in_threadpool(topics.head, topic)
    await socket.accept()
    work = _Member(socket, topics, topic, group).run() if group else _follow(socket, topics, topic, place)
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        try:
            await work
        except DtegError as error:
            await socket.close(1011, str(error)[:120])
        else:
            await socket.close(1001)


async def _messages(topics: Topics, bells: Bells, topic: str, place: Start) -> AsyncIterator[Message]:
    while True:
        rings = bells.rings(topic)
        found = await run_in_threadpool(topics.read, topic, place, limit=_BATCH)
        for message in found:
            yield message
        if found:
            place = found[-1].offset + 1
        else:
            await bells.wait(topic, rings, _LOOK_S)


async def _events(topics: Topics, bells: Bells, topic: str, place: Start) -> AsyncIterator[ServerEvent]:
    try:
        async for message in _messages(topics, bells, topic, place):
            yield ServerEvent(message.model_dump(mode="json"), str(message.offset), "message")
    except DtegError as error:
        # Half an answer is out: the client is told in the stream, and its reconnect gets the status.
        yield ServerEvent({"detail": str(error)}, event="problem")


async def _follow(socket: WebSocket, topics: Topics, topic: str, place: Start) -> None:
    async def send() -> None:
        async for message in _messages(topics, bells_of(socket), topic, place):
            await socket.send_text(message.model_dump_json())

    async def listen() -> None:
        while True:
            await socket.receive_text()  # says nothing; but notices when the client leaves

    await _first(socket, send(), listen())


class _Member:
    """A member of a group at the other end of a WebSocket."""

    def __init__(self, socket: WebSocket, topics: Topics, topic: str, group: str) -> None:
        self._socket, self._topics, self._topic, self._group = socket, topics, topic, group
        self._open: set[str] = set()
        self._room = asyncio.Event()

    async def run(self) -> None:
        """Send and listen until one side ends; what is open then goes to other members at once."""
        try:
            await _first(self._socket, self._send(), self._listen(), self._keep())
        finally:
            with contextlib.suppress(DtegError):
                # Not released untouched: the client may have died of one of them.
                for ack_id in list(self._open):
                    await run_in_threadpool(
                        self._topics.nack, self._topic, self._group, ack_id, "the client left", retry_in_s=0
                    )

    async def _send(self) -> None:
        bells = bells_of(self._socket)
        while True:
            self._room.clear()
            if len(self._open) >= _MAX_OPEN:
                await self._room.wait()
                continue
            rings = bells.rings(self._topic)
            found = await self._fetch()
            for delivery in found:
                await self._socket.send_text(delivery.model_dump_json())
            if not found:
                await bells.wait(self._topic, rings, _LOOK_S)

    async def _fetch(self) -> list[Delivery]:
        """Take messages; when the client leaves meanwhile, what the thread still brings is open too."""
        room = min(_BATCH, _MAX_OPEN - len(self._open))
        fetch = run_in_threadpool(self._topics.fetch, self._topic, self._group, limit=room, lease_s=_LEASE_S)
        work: asyncio.Task[list[Delivery]] = asyncio.ensure_future(fetch)
        try:
            return await asyncio.shield(work)
        finally:
            self._open.update(delivery.ack_id for delivery in await work)

    async def _listen(self) -> None:
        while True:
            text = await self._socket.receive_text()
            try:
                word = MemberWord.model_validate_json(text)
            except ValidationError as error:
                wrong = "; ".join(
                    f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()
                )
                await self._socket.send_text(json.dumps({"problem": wrong}))
                continue
            if word.ack_id not in self._open:
                await self._socket.send_text(json.dumps({"problem": f"{word.ack_id} is not open here"}))
                continue
            await run_in_threadpool(self._say, word)
            if word.act != "extend":
                self._open.discard(word.ack_id)
                self._room.set()

    def _say(self, word: MemberWord) -> None:
        topics, topic, group = self._topics, self._topic, self._group
        if word.act == "ack":
            topics.ack(topic, group, [word.ack_id])
        elif word.act == "nack":
            topics.nack(topic, group, word.ack_id, word.error, retry_in_s=word.retry_in_s)
        elif word.act == "release":
            topics.release(topic, group, [word.ack_id])
        else:
            topics.extend(topic, group, [word.ack_id], lease_s=_LEASE_S)

    async def _keep(self) -> None:
        """A connection that lives keeps its messages."""
        while True:
            await asyncio.sleep(_LEASE_S / 3)
            if self._open:
                await run_in_threadpool(
                    self._topics.extend, self._topic, self._group, list(self._open), lease_s=_LEASE_S
                )


async def _first(socket: WebSocket, *work: Coroutine[None, None, None]) -> None:
    """Run all until one ends, or the studio stops; raise what ended it."""

    async def stopped() -> None:
        stopping = services_of(socket).stopping
        while not stopping.is_set():  # noqa: ASYNC110 - set by a thread
            await asyncio.sleep(0.3)

    tasks = [asyncio.ensure_future(each) for each in (*work, stopped())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
