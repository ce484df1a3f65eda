"""The bytes of a COPY TO STDOUT, in whole socket buffers.

psycopg hands out each row as a Python object, which costs more than the server needs to make the
row. asyncpg joins all rows of a socket buffer in C, so here a thread of its own reads with asyncpg
and passes blocks on through a bounded queue; the reader's thread is free for the target meanwhile.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal, Self
from urllib.parse import urlencode

from dteg.connectors import NativeFormat, NativeSource
from dteg.core.columns import AnySchema
from dteg.core.errors import DtegError, TransientError
from dteg.core.postgres import APPLICATION_NAME, CONNECT_TIMEOUT_S, SESSION_SETTINGS, error_for_state

BLOCK_BYTES = 256 << 10
QUEUED_BLOCKS = 4
_LOOK_S = 0.2

Wire = Literal["binary", "csv"]


# What asyncpg reads from a URL; anything else there it would send to the server as a setting.
_KNOWN = frozenset(
    [
        "host",
        "port",
        "user",
        "password",
        "dbname",
        "passfile",
        "service",
        "sslmode",
        "sslcert",
        "sslkey",
        "sslrootcert",
        "sslcrl",
        "sslpassword",
        "target_session_attrs",
        "krbsrvname",
        "gsslib",
    ]
)


def asyncpg_arguments(url: str) -> tuple[str, dict[str, str]]:
    """Return the URL and the server settings for asyncpg, from a URL for libpq."""
    from psycopg.conninfo import conninfo_to_dict

    parameters = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    settings = {"application_name": APPLICATION_NAME, **SESSION_SETTINGS}
    if "options" in parameters:
        settings["options"] = parameters["options"]
    known = {name: value for name, value in parameters.items() if name in _KNOWN}
    return f"postgresql://?{urlencode(known)}", settings


class CopyOut:
    """One COPY in a read-only snapshot, read ahead by up to 1 MiB.

    Args:
        url: The source.
        query: What to copy, as SQL text.
        wire: PostgreSQL's binary format, or CSV where NULL is the empty unquoted field.
        stream: Name of the stream, for errors.
        statement_timeout_s: End the read after this long; 0 is never.
        idle_timeout_s: Longest silence of the source.
    """

    def __init__(
        self,
        url: str,
        query: str,
        wire: Wire,
        stream: str,
        *,
        statement_timeout_s: float,
        idle_timeout_s: float,
    ) -> None:
        """Prepare; nothing is opened yet."""
        self._url, self._query, self._wire, self._stream = url, query, wire, stream
        self._statement_timeout_s, self._idle_timeout_s = statement_timeout_s, idle_timeout_s
        self._blocks: queue.Queue[bytes | BaseException | None] = queue.Queue(QUEUED_BLOCKS)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"copy {stream}", daemon=True)
        self._heard = 0.0
        self._hang_up: Callable[[], object] = lambda: None

    def __enter__(self) -> Self:
        """Start to read."""
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop reading, wherever it is."""
        self._stopped.set()
        with contextlib.suppress(RuntimeError):  # the loop has ended by itself meanwhile
            self._hang_up()
        self._thread.join(timeout=CONNECT_TIMEOUT_S)

    def blocks(self) -> Iterator[bytes]:
        """Yield the bytes in order.

        Raises:
            TransientError: The connection was lost, or the source fell silent.
            PermanentError: The query failed.
        """
        while True:
            block = self._next()
            if block is None:
                return
            if isinstance(block, BaseException):
                raise self._ours(block) from block
            yield block

    def _next(self) -> bytes | BaseException | None:
        """Return what comes next; a source so slow that it has not filled a block yet is not silent."""
        asked = time.monotonic()
        while (left_s := max(asked, self._heard) + self._idle_timeout_s - time.monotonic()) > 0:
            with contextlib.suppress(queue.Empty):
                return self._blocks.get(timeout=left_s)
        raise TransientError(
            f"the source has sent nothing for {self._idle_timeout_s:g} s",
            component="postgres",
            stream=self._stream,
        )

    def _run(self) -> None:
        try:
            asyncio.run(self._copy())
            self._put(None)
        except BaseException as error:  # noqa: BLE001 - crosses to the reader's thread
            self._put(error)

    async def _copy(self) -> None:
        import asyncpg

        dsn, settings = asyncpg_arguments(self._url)
        connection = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT_S, server_settings=settings)
        loop = asyncio.get_running_loop()
        # Without it, the end of a silent source's read would wait for the source.
        self._hang_up = lambda: loop.call_soon_threadsafe(connection.terminate)
        parts: list[bytes] = []
        size = 0

        async def keep(data: bytes) -> None:
            nonlocal size
            self._heard = time.monotonic()
            parts.append(data)
            size += len(data)
            if size >= BLOCK_BYTES:
                self._put(b"".join(parts))
                parts.clear()
                size = 0

        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                await connection.execute(
                    f"SET LOCAL statement_timeout = {int(self._statement_timeout_s * 1000)}"
                )
                options: dict[str, Any] = {"null": ""} if self._wire == "csv" else {}
                await connection.copy_from_query(self._query, output=keep, format=self._wire, **options)
            if parts:
                self._put(b"".join(parts))
        finally:
            connection.terminate()

    def _put(self, block: bytes | BaseException | None) -> None:
        while not self._stopped.is_set():
            try:
                self._blocks.put(block, timeout=_LOOK_S)
            except queue.Full:
                continue
            return
        if isinstance(block, bytes):
            raise InterruptedError("nobody reads any more")

    def _ours(self, error: BaseException) -> DtegError:
        import asyncpg

        if isinstance(error, asyncpg.PostgresError):
            return error_for_state(error.sqlstate, str(error), "postgres", self._stream)
        if isinstance(error, OSError | asyncpg.InterfaceError | asyncio.TimeoutError | EOFError):
            return TransientError(
                f"the connection to the source was lost: {error or type(error).__name__}",
                component="postgres",
                stream=self._stream,
            )
        raise error


class CopySource(NativeSource):
    """One stream as the bytes of COPY: binary for a server of the same major version, else CSV."""

    def __init__(self, schema: AnySchema, version: int, copy_out: Callable[[Wire], CopyOut]) -> None:
        """Offer a stream; nothing is opened yet."""
        self.schema = schema
        self.formats = (NativeFormat("postgresql", "binary", version), NativeFormat("postgresql", "csv"))
        self._copy_out = copy_out

    @contextlib.contextmanager
    def read(self, format_: NativeFormat) -> Iterator[Iterator[bytes]]:
        """Read the stream."""
        with self._copy_out(format_.wire) as copy:
            yield copy.blocks()
