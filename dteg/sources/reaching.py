"""How the warehouse reaches sources: through the relay on its own machine, if it is there."""

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict

from dteg.core.errors import EnvironmentProblemError
from dteg.core.project import Project
from dteg.sources.fdw import FdwLinker, change_server, server_options
from dteg.sources.kinds import Link, Linker, kind_of
from dteg.sources.relaying import Relaying

VARIABLE = "DTEG_RELAY"
_LOOPBACK = ("", "localhost", "127.0.0.1", "::1")
_HERE = "127.0.0.1"
# Connections that fail or break, and what was cancelled at its deadline.
_UNREACHABLE = frozenset({"08000", "08001", "08003", "08006", "57014", "57P01", "57P02", "57P03", "HV00N"})
# What wrappers use for all that goes wrong: the text decides.
_FDW_ERRORS = frozenset({"HV000", "HV00L", "HV00M", "XX000"})
_LOST = (
    "lost connection", "gone away", "can't connect", "cannot connect", "failed to connect", "could not connect",
    "connection refused", "server closed the connection", "timed out", "timeout",
)  # fmt: skip

# What a wrapper adds that nobody but the warehouse knows: the relay's own port, and a guess about its end of the line.
_INNER = re.compile(
    r'connection to server at "127\.0\.0\.1", port \d+ failed: |\s*This probably means the server terminated'
    r" abnormally\s+before or while processing the request\.?"
)
_SERVER = re.compile(r'"src_([a-z0-9_]+)"')

Connection = psycopg.Connection[Any]


class Reaching:
    """Routes of one project's sources.

    Args:
        project: Whose.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._relaying = Relaying(project)

    def routed(self, link: Link, connection: Connection) -> Link:
        """Return a link with the address of the relay, if it goes through that."""
        linker = kind_of(link.kind).linker(link.mode)
        if not isinstance(linker, FdwLinker) or not has_relay(self._project):
            return link
        server = linker.server(link)
        known = server_options(connection, link.schema).get("port", "0")
        prefer = int(known) if known.isdigit() and int(known) != server.port else 0
        port = self._relaying.route(
            link.slug,
            linker.protocol,
            server.host,
            server.port,
            silence_s=link.options.silence_s,
            prefer=prefer,
        )
        return dataclasses.replace(link, address=(_HERE, port))

    def open(self, connection: Connection, link: Link) -> None:
        """Have a source reachable at the address that its foreign server has, or change that."""
        linker = kind_of(link.kind).linker(link.mode)
        known = server_options(connection, link.schema)
        if isinstance(linker, FdwLinker) and known:
            routed = self.routed(link, connection)
            change_server(connection, link.schema, known, {**known, **linker.address_options(routed)})

    @contextlib.contextmanager
    def deadline(self, slugs: Sequence[str], seconds: float) -> Iterator[None]:
        """End what hangs within the block after so many seconds."""
        if not slugs:
            yield
            return
        with self._relaying.deadline(slugs, seconds):
            yield

    def forget(self, slug: str) -> None:
        """Close the way to a source."""
        self._relaying.drop(slug)


def is_unreachable(error: psycopg.Error) -> bool:
    """Whether a statement over tables of a source failed because the source, or the way to it, did not answer.

    It then may succeed later, and counts against the source; everything else is in the data or in the statement.
    """
    if error.sqlstate in _UNREACHABLE:
        return True
    message = (error.diag.message_primary or str(error)).lower()
    return error.sqlstate in _FDW_ERRORS and any(words in message for words in _LOST)


def plain_failure(error: Exception) -> str:
    """Say why a source was not reached, by its own name and without the port of the relay."""
    return _SERVER.sub(r"\1", _INNER.sub("", str(error)))


def has_relay(project: Project) -> bool:
    """Whether the warehouse can reach what listens on 127.0.0.1 here."""
    if os.environ.get(VARIABLE, "").lower() in ("off", "0", "no"):
        return False
    known = conninfo_to_dict(project.warehouse_url())
    host = str(known.get("hostaddr") or known.get("host") or "")
    return host in _LOOPBACK or host.startswith("/")


def require_relay(project: Project, linker: Linker) -> None:
    """Refuse a wrapper whose sessions can hang for ever, unless the relay can be between.

    PostgreSQL's own wrapper can do without it: a statement ends at its timeout, if not always at once.

    Raises:
        EnvironmentProblemError: The warehouse is on another machine.
    """
    if isinstance(linker, FdwLinker) and linker.guarded and not has_relay(project):
        raise EnvironmentProblemError(
            f"{linker.extension} needs the relay, which has to run on the warehouse's own machine, and {VARIABLE} must"
            " not be off; copy the tables instead, where the kind can be copied: --mode staged"
        )
