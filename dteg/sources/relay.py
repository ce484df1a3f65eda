"""The relay between foreign data wrappers and remote servers, which ends what would hang for ever.

A backend that waits for a frozen MySQL cannot be cancelled or terminated, and one that waits for a frozen PostgreSQL
waits again when it is cancelled. Each of them ends as soon as its connection breaks, so all foreign servers of a
project connect to this process on 127.0.0.1, which passes bytes on and breaks a connection when

- nothing has come through it for `silence_s` and the remote server, asked anew (`dteg.sources.hello`), gives no answer;
- a deadline that somebody holds for the source has passed, and nothing comes from the server.

One process per project, started on demand (`dteg.sources.relaying`) and stopped by `dteg stop`; it also goes when it
has had nothing to do for `IDLE_EXIT_S`, or when the project's folder is gone. It listens on 127.0.0.1 only, and a
connection through it still has to log in.

    python -m dteg.sources.relay STATE_FOLDER
"""

import asyncio
import contextlib
import hmac
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dteg.core.places import write_private
from dteg.core.processes import start_time
from dteg.sources.hello import HELLO_TIMEOUT_S, lives

STATE_FILE = "relay.json"
TICK_S = 0.2
CONNECT_TIMEOUT_S = 5.0
IDLE_EXIT_S = 900.0
# After a deadline, a connection in which the server says nothing for so long is given up.
STUCK_S = 0.3
# Whoever held a deadline and died: so long after it what hangs is still given up.
LOST_HOLDER_S = 10.0
_HIGH_WATER = 1 << 20


class _End(asyncio.Protocol):
    """One of the two ends of a connection that passes through."""

    def __init__(self, passage: "Passage", *, is_server: bool) -> None:
        self._passage, self._is_server = passage, is_server
        self.transport: asyncio.Transport | None = None

    @property
    def _other(self) -> "asyncio.Transport | None":
        return (self._passage.client if self._is_server else self._passage.server).transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.set_write_buffer_limits(high=_HIGH_WATER)
        if not self._is_server:
            transport.pause_reading()  # until the server is reached
            self._passage.begin()

    def data_received(self, data: bytes) -> None:
        passage = self._passage
        passage.heard_at = time.monotonic()
        passage.waits = not self._is_server
        if other := self._other:
            other.write(data)

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if other := self._other:
            other.close()  # after what is still to be written
        self._passage.ended()

    def pause_writing(self) -> None:
        if other := self._other:
            with contextlib.suppress(RuntimeError):
                other.pause_reading()

    def resume_writing(self) -> None:
        if other := self._other:
            with contextlib.suppress(RuntimeError):
                other.resume_reading()


class Passage:
    """One connection of the warehouse to a source.

    Attributes:
        opened_at: When it began (monotonic seconds).
        heard_at: When bytes last came through, in any direction.
        waits: Whether the last bytes were a question to the server.
    """

    def __init__(self, route: "Route") -> None:
        self._route = route
        self.client, self.server = _End(self, is_server=False), _End(self, is_server=True)
        self.opened_at = self.heard_at = time.monotonic()
        self.waits = True
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Connect to the server."""
        self._route.passages.add(self)
        self._task = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        route, loop = self._route, asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                if route.host.startswith("/"):
                    path = f"{route.host}/.s.PGSQL.{route.port}"
                    await loop.create_unix_connection(lambda: self.server, path)
                else:
                    await loop.create_connection(lambda: self.server, route.host, route.port)
        except OSError:  # TimeoutError among them
            self.cut()
            return
        if self.client.transport is None or self.client.transport.is_closing():
            self.cut()
        else:
            self.client.transport.resume_reading()

    def cut(self) -> None:
        """Break both ends at once."""
        for end in (self.client, self.server):
            if end.transport is not None:
                end.transport.abort()
        self.ended()

    def ended(self) -> None:
        """Forget it."""
        self._route.passages.discard(self)


@dataclass(eq=False)
class Route:
    """The way to one source.

    Attributes:
        slug: The source.
        protocol: How the server is asked whether it lives.
        host: Where it is.
        port: Its port.
        silence_s: Silence after which it is asked.
        passages: Connections of now.
    """

    slug: str
    protocol: str
    host: str
    port: int
    silence_s: float
    passages: set[Passage] = field(default_factory=set)
    listener: "asyncio.Server | None" = None
    asking: "asyncio.Task[None] | None" = None
    answered_at: float = 0.0

    async def listen(self, prefer: int) -> int:
        """Listen on 127.0.0.1, on a port of choice if it is free; return the port."""
        loop = asyncio.get_running_loop()

        def accept() -> asyncio.BaseProtocol:
            return Passage(self).client

        for port in (prefer, 0):
            with contextlib.suppress(OSError):
                self.listener = await loop.create_server(accept, "127.0.0.1", port)
                break
        return self.local_port

    @property
    def local_port(self) -> int:
        """The port of 127.0.0.1 that leads to the source."""
        assert self.listener is not None
        port: int = self.listener.sockets[0].getsockname()[1]
        return port

    def look(self, now: float) -> None:
        """Ask the server if it has been silent; connections in which nothing comes are given up if it is dead."""
        silent = [each for each in self.passages if now - each.heard_at >= self.silence_s]
        if silent and self.asking is None and now - self.answered_at >= self.silence_s / 2:
            self.asking = asyncio.get_running_loop().create_task(self._ask())

    async def _ask(self) -> None:
        asked_at = time.monotonic()
        try:
            problem = await lives(self.protocol, self.host, self.port, HELLO_TIMEOUT_S)
            if not problem:
                self.answered_at = time.monotonic()
                return
            for each in list(self.passages):
                if each.heard_at < asked_at:
                    each.cut()
        finally:
            self.asking = None

    def close(self) -> None:
        """Stop listening, and break what goes on."""
        if self.listener is not None:
            self.listener.close()
        for each in list(self.passages):
            each.cut()


@dataclass(frozen=True)
class Deadline:
    """When connections to a source have to be over.

    Attributes:
        slug: The source.
        since: Connections before are somebody else's (monotonic seconds).
        at: The end (monotonic seconds).
    """

    slug: str
    since: float
    at: float

    def enforce(self, route: Route, now: float) -> None:
        """Break the connections in which nothing comes."""
        if now < self.at:
            return
        for each in list(route.passages):
            if each.opened_at >= self.since and now - each.heard_at >= STUCK_S:
                each.cut()


class Relay:
    """All routes of one project.

    Args:
        folder: The project's folder of state.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / STATE_FILE
        self._token = secrets.token_hex(32)
        self._routes: dict[str, Route] = {}
        self._deadlines: dict[int, Deadline] = {}
        self._numbers = 0
        self._busy_at = time.monotonic()
        self._stop = asyncio.Event()
        self._opening = asyncio.Lock()
        self._commands: dict[str, Callable[[dict[str, Any]], Any]] = {
            "drop": self._drop,
            "status": self._status,
            "stop": lambda _: self._stop.set(),
        }

    async def run(self) -> None:
        """Work until told to stop, or until there is nothing to do."""
        control = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        port = control.sockets[0].getsockname()[1]
        state = {"port": port, "token": self._token, "pid": os.getpid(), "started": start_time(os.getpid())}
        write_private(self._file, json.dumps(state))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        try:
            while not self._stop.is_set():
                self._tick()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), TICK_S)
        finally:
            control.close()
            for route in self._routes.values():
                route.close()
            if self._is_ours():
                self._file.unlink(missing_ok=True)

    def _tick(self) -> None:
        now = time.monotonic()
        for route in self._routes.values():
            route.look(now)
        for number, deadline in list(self._deadlines.items()):
            if deadline.slug in self._routes:
                deadline.enforce(self._routes[deadline.slug], now)
            if now > deadline.at + LOST_HOLDER_S:
                del self._deadlines[number]
        if self._deadlines or any(route.passages for route in self._routes.values()):
            self._busy_at = now
        if now - self._busy_at > IDLE_EXIT_S or not self._is_ours():
            self._stop.set()

    def _is_ours(self) -> bool:
        """Whether the project is still there and no other relay has taken over."""
        try:
            return bool(json.loads(self._file.read_text())["token"] == self._token)
        except (OSError, ValueError, KeyError):
            return False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Cancelled: the relay stops, and so does everybody's talk with it.
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, asyncio.CancelledError):
            while line := await reader.readline():
                asked = json.loads(line)
                if not hmac.compare_digest(str(asked.pop("token", "")), self._token):
                    break
                self._busy_at = time.monotonic()
                writer.write(json.dumps(await self._answer(asked)).encode() + b"\n")
                await writer.drain()
        writer.close()

    async def _answer(self, asked: dict[str, Any]) -> Any:
        do = asked.pop("do")
        if do == "route":
            return await self._route(**asked)
        if do == "hold":
            return self._hold(**asked)
        if do == "release":
            return self._deadlines.pop(asked["number"], None) is not None
        return self._commands[do](asked)

    async def _route(
        self, *, slug: str, protocol: str, host: str, port: int, silence_s: float, prefer: int
    ) -> int:
        async with self._opening:  # two may ask for one way at the same time
            known = self._routes.get(slug)
            if known is not None:
                known.silence_s = silence_s
                if (known.protocol, known.host, known.port) == (protocol, host, port):
                    return known.local_port
                known.close()
            route = Route(slug, protocol, host, port, silence_s)
            local_port = await route.listen(prefer)
            self._routes[slug] = route
            return local_port

    def _hold(self, slug: str, seconds: float) -> int:
        now = time.monotonic()
        self._numbers += 1
        self._deadlines[self._numbers] = Deadline(slug, now, now + seconds)
        return self._numbers

    def _drop(self, asked: dict[str, Any]) -> bool:
        route = self._routes.pop(asked["slug"], None)
        if route is not None:
            route.close()
        return route is not None

    def _status(self, _: dict[str, Any]) -> dict[str, Any]:
        return {
            slug: {"port": each.local_port, "connections": len(each.passages)}
            for slug, each in self._routes.items()
        }


def main(folder: str) -> None:
    """Run the relay of a project."""

    async def run() -> None:
        await Relay(Path(folder)).run()

    asyncio.run(run())


if __name__ == "__main__":
    main(sys.argv[1])
