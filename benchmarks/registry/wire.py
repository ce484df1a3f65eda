"""A generator of requests that costs little itself: connections that stay open, on uvloop, parsed in C.

Closed loop: each connection sends the next request when it has the answer; this finds the most that is possible. Open
loop: requests are sent by the clock whatever the answers do, and time counts from when one should have been sent, so
that a stall is felt by all that come meanwhile.
"""

import asyncio
import random
import resource
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import httptools
import uvloop

_MOST_CONNECTIONS = 512


@dataclass(frozen=True, slots=True)
class Call:
    """One request, ready to be sent.

    Attributes:
        kind: Under which name it is counted.
        data: Its bytes.
        expected: Statuses that are right.
    """

    kind: str
    data: bytes
    expected: tuple[int, ...] = (200,)


def get(kind: str, path: str, port: int, headers: str = "", expected: tuple[int, ...] = (200,)) -> Call:
    """Return a GET without body."""
    text = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n{headers}\r\n"
    return Call(kind, text.encode(), expected)


@dataclass(slots=True)
class Times:
    """What was seen of one kind of request.

    Attributes:
        seconds: To the end of each answer.
        first_byte: To the first byte of each answer.
        statuses: How often each status came; 0: the connection broke.
        wrong: How many had another status than expected.
    """

    seconds: list[float] = field(default_factory=list)
    first_byte: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    wrong: int = 0

    def add(self, call: Call, status: int, seconds: float, first_byte: float) -> None:
        self.seconds.append(seconds)
        self.first_byte.append(first_byte)
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.wrong += status not in call.expected


@dataclass(slots=True)
class Outcome:
    """What one run gave.

    Attributes:
        kinds: By kind of request.
        wall_s: How long it took.
        cpu_s: CPU time of the generator itself.
        late_ms: How late the generator sent, 99th percentile (ms); open loop only.
        bytes: Bytes of the answers' bodies.
    """

    kinds: dict[str, Times]
    wall_s: float
    cpu_s: float
    late_ms: float = 0.0
    bytes: int = 0


class _Connection(asyncio.Protocol):
    """One connection with at most one request under way."""

    def __init__(self, client: "_Client") -> None:
        self.client = client
        self.transport: asyncio.WriteTransport | None = None
        self.call: Call | None = None
        self.due = self.first = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.WriteTransport, transport)  # uvloop's is no subclass

    def send(self, call: Call, due: float) -> None:
        assert self.transport is not None
        self.call, self.due, self.first = call, due, 0.0
        self.parser = httptools.HttpResponseParser(self)
        self.transport.write(call.data)

    def data_received(self, data: bytes) -> None:
        if not self.first:
            self.first = time.perf_counter()
        if self.call is not None:
            self.parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self.client.bytes += len(body)

    def on_message_complete(self) -> None:
        self._end(self.parser.get_status_code(), again=self.parser.should_keep_alive())

    def connection_lost(self, _: Exception | None) -> None:
        call, self.transport = self.call, None
        self.client.lost(self)
        if call is None:
            return
        if not self.first and call.data.startswith(b"GET"):
            self.call = None
            self.client.once_more(call, self.due)  # closed while it was idle, as every client knows it
        else:
            self._end(0, again=False)

    def _end(self, status: int, *, again: bool) -> None:
        now, call = time.perf_counter(), self.call
        assert call is not None
        self.call = None
        self.client.done(self, call, status, now - self.due, (self.first or now) - self.due, again=again)


class _Client:
    """What both loops share."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.kinds: dict[str, Times] = {}
        self.bytes = 0
        self.open = 0
        self.under_way = 0
        self.idle: list[_Connection] = []
        self.quiet = asyncio.Event()
        self.measuring = True
        self.tasks: set[asyncio.Task[None]] = set()

    async def connect(self) -> _Connection:
        self.open += 1
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self.port)
        return connection

    def lost(self, connection: _Connection) -> None:
        self.open -= 1
        if connection in self.idle:
            self.idle.remove(connection)

    def done(
        self, connection: _Connection, call: Call, status: int, seconds: float, first: float, *, again: bool
    ) -> None:
        self.under_way -= 1
        if self.measuring:
            self.kinds.setdefault(call.kind, Times()).add(call, status, seconds, first)
        if again:
            self.free(connection)
        if not self.under_way:
            self.quiet.set()

    def free(self, connection: _Connection) -> None:
        self.idle.append(connection)

    def once_more(self, call: Call, due: float) -> None:
        """Send again on a new connection; the time goes on."""

        async def send() -> None:
            try:
                (await self.connect()).send(call, due)
            except OSError:
                self.under_way -= 1
                self.kinds.setdefault(call.kind, Times()).add(call, 0, time.perf_counter() - due, 0.0)

        self.tasks.add(task := asyncio.get_running_loop().create_task(send()))
        task.add_done_callback(self.tasks.discard)

    def close(self) -> None:
        for connection in self.idle[:]:
            if connection.transport is not None:
                connection.transport.close()


class _Closed(_Client):
    def __init__(self, port: int, calls: Sequence[Call], draw: random.Random) -> None:
        super().__init__(port)
        self.calls, self.draw = calls, draw
        self.stop = False

    def free(self, connection: _Connection) -> None:
        if self.stop:
            self.idle.append(connection)
            return
        self.under_way += 1
        connection.send(self.calls[int(self.draw.random() * len(self.calls))], time.perf_counter())


def closed_loop(
    port: int, calls: Sequence[Call], *, connections: int, seconds: float, warm_s: float = 1.0, seed: int = 1
) -> Outcome:
    """Send one of the calls after the other on so many connections."""

    async def run() -> Outcome:
        client = _Closed(port, calls, random.Random(seed))  # noqa: S311 - no secret
        client.measuring = False
        for _ in range(connections):
            client.free(await client.connect())
        await asyncio.sleep(warm_s)
        client.measuring, began, cpu = True, time.perf_counter(), _cpu()
        await asyncio.sleep(seconds)
        client.stop, wall, used = True, time.perf_counter() - began, _cpu() - cpu
        client.measuring = False
        await asyncio.sleep(0.2)
        client.close()
        return Outcome(client.kinds, wall, used, bytes=client.bytes)

    return uvloop.run(run())


def open_loop(port: int, calls: Sequence[Call], *, per_second: float, seed: int = 1) -> Outcome:
    """Send the calls in their order, at random times with so many a second on average, and wait for all answers."""

    async def run() -> Outcome:
        client, draw = _Client(port), random.Random(seed)  # noqa: S311 - no secret
        for _ in range(16):
            client.free(await client.connect())
        late: list[float] = []
        began, cpu = time.perf_counter(), _cpu()
        due = began
        for call in calls:
            due += draw.expovariate(per_second)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            late.append(time.perf_counter() - due)
            await _send(client, call, due)
        client.quiet.clear()
        if client.under_way:
            async with asyncio.timeout(60):
                while client.under_way:
                    await client.quiet.wait()
                    client.quiet.clear()
        wall, used = time.perf_counter() - began, _cpu() - cpu
        client.close()
        return Outcome(client.kinds, wall, used, percentile(late, 99) * 1000, client.bytes)

    return uvloop.run(run())


def burst(port: int, calls: Sequence[Call]) -> Outcome:
    """Send all calls at once, each on a connection of its own."""

    async def run() -> Outcome:
        client = _Client(port)
        connections = [await client.connect() for _ in calls]
        began, cpu = time.perf_counter(), _cpu()
        client.under_way = len(calls)
        for connection, call in zip(connections, calls, strict=True):
            connection.send(call, began)
        async with asyncio.timeout(300):
            await client.quiet.wait()
        wall, used = time.perf_counter() - began, _cpu() - cpu
        client.close()
        return Outcome(client.kinds, wall, used)

    return uvloop.run(run())


async def _send(client: _Client, call: Call, due: float) -> None:
    """Send on a connection that is idle; on a new one if there is none."""
    client.under_way += 1
    if client.idle:
        client.idle.pop().send(call, due)
    elif client.open < _MOST_CONNECTIONS:
        (await client.connect()).send(call, due)
    else:
        client.under_way -= 1
        client.kinds.setdefault(call.kind, Times()).add(call, 0, 60.0, 60.0)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` percent do not exceed; 0 without any."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share / 100 * (len(ordered) - 1)))]


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
