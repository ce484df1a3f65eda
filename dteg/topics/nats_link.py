"""The connection to a NATS server: one for each object of topics, with a loop of its own that threads can share."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

import nats.errors
import nats.js.errors
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.kv import KeyValue

from dteg.core.errors import DtegError, PermanentError, TransientError
from dteg.core.secrets import redact

T = TypeVar("T")

BUCKET = "dteg_topics"
_CONNECT_S = 5
_STEP_S = 60.0


@dataclass(frozen=True, slots=True)
class Session:
    """What the steps of topics talk to.

    Attributes:
        client: The connection.
        stream: JetStream.
        state: Topics and groups, each with a revision to compare and swap.
    """

    client: Client
    stream: JetStreamContext
    state: KeyValue


class Link:
    """Runs steps on the connection, made when first needed.

    Args:
        url: One server or several, with commas between.
    """

    def __init__(self, url: str) -> None:
        self._servers = url.split(",")
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: Session | None = None

    def run(self, step: Callable[[Session], Coroutine[Any, Any, T]], timeout_s: float = _STEP_S) -> T:
        """Run one step to its end and return its result.

        Raises:
            TransientError: The server does not answer.
            PermanentError: It refuses.
        """
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="nats", daemon=True).start()
            loop = self._loop
        future = asyncio.run_coroutine_threadsafe(self._step(step), loop)
        try:
            return future.result(timeout_s)
        except TimeoutError:
            future.cancel()
            raise TransientError("the NATS server does not answer", component="topics") from None
        except nats.js.errors.APIError as error:
            kind = TransientError if (error.code or 0) >= 500 else PermanentError
            raise kind(f"NATS: {redact(str(error.description or error))}", component="topics") from error
        except (nats.errors.Error, OSError) as error:
            raise TransientError(f"NATS: {redact(str(error))}", component="topics") from error

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            loop, session = self._loop, self._session
            self._loop = self._session = None
        if loop is not None:
            if session is not None:
                asyncio.run_coroutine_threadsafe(session.client.close(), loop).result(_CONNECT_S)
            loop.call_soon_threadsafe(loop.stop)

    async def _step(self, step: Callable[[Session], Coroutine[Any, Any, T]]) -> T:
        if self._session is None or self._session.client.is_closed:
            self._session = await self._connect()
        try:
            return await step(self._session)
        except DtegError:
            raise
        except TimeoutError:
            raise TransientError("the NATS server does not answer in time", component="topics") from None

    async def _connect(self) -> Session:
        client = Client()
        try:
            await client.connect(
                self._servers, name="dteg", connect_timeout=_CONNECT_S, max_reconnect_attempts=1,
                reconnect_time_wait=1,
                error_cb=_silent,
            )  # fmt: skip
        except (nats.errors.Error, OSError) as error:
            raise TransientError(
                f"the NATS server cannot be reached: {redact(str(error))}", component="topics"
            ) from None
        stream = client.jetstream(timeout=10)
        try:
            state = await stream.create_key_value(bucket=BUCKET, history=1)
        except nats.js.errors.ServiceUnavailableError:
            await client.close()
            raise PermanentError(
                "the NATS server runs without JetStream: start it with -js", component="topics"
            ) from None
        return Session(client, stream, state)


async def _silent(_: Exception) -> None:
    """The client reconnects by itself; what fails meanwhile says so."""
