"""Asking a database server whether it lives, before any login: the first bytes of each protocol.

A server whose processes hang still accepts connections, because the kernel does that. Only an answer proves life.
"""

import asyncio
import contextlib
import struct

HELLO_TIMEOUT_S = 2.0
# What we say first; an empty text: the server speaks first; None: that it accepts has to do.
_SSL_REQUEST = struct.pack("!ii", 8, 80_877_103)
# TDS PRELOGIN: version, encryption "not supported", instance, thread, no MARS.
_PRELOGIN = bytes.fromhex(
    "1201002f00000100"  # packet: prelogin, last, 47 bytes
    "00001a0006 0100200001 0200210001 0300220004 0400260001 ff"  # where each option lies
    "090000000000 02 00 00000000 00"
)
HELLOS: dict[str, bytes | None] = {
    "postgres": _SSL_REQUEST,
    # A server counts handshakes that are broken off, and shuts out a host after 100 in a row without a login between.
    "mysql": b"",
    "mssql": _PRELOGIN,
    "oracle": None,
}


async def lives(protocol: str, host: str, port: int, timeout_s: float = HELLO_TIMEOUT_S) -> str:
    """Ask a server whether it lives.

    Args:
        protocol: One of `HELLOS`.
        host: Its name, or the folder of its unix socket (PostgreSQL).
        port: Its port.
        timeout_s: Longest wait, all in all.

    Returns:
        What is wrong; empty if it answers.
    """
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await open_stream(host, port)
            try:
                return "" if await _answers(HELLOS[protocol], reader, writer) else "it hangs up at once"
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
    except TimeoutError:
        return f"no answer within {timeout_s:g} s"
    except OSError as error:
        return error.strerror or type(error).__name__


async def open_stream(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to a server by TCP, or by a unix socket if `host` is a folder."""
    if host.startswith("/"):
        return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
    return await asyncio.open_connection(host, port)


async def _answers(first: bytes | None, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    if first is None:
        return True
    if first:
        writer.write(first)
        await writer.drain()
    return bool(await reader.read(1))
