"""Connections to MySQL and MariaDB, and their errors in our words."""

import contextlib
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from dteg.core.errors import ConfigError, DtegError, MissingExtraError, PermanentError, TransientError
from dteg.core.secrets import redact
from dteg.core.suggest import did_you_mean

if TYPE_CHECKING:
    import pymysql

COMPONENT = "mysql"
DEFAULT_PORT = 3306
SCHEMES = ("mysql", "mariadb")
# The server gives up a client that takes nothing for this long; the default of a minute is less than a load may pause.
NET_WRITE_TIMEOUT_S = 3600

Tls = Literal["disabled", "preferred", "required", "verify_ca", "verify_identity"]

# Errors after which the same statement may succeed a moment later.
_TRANSIENT = frozenset(
    {
        1040, 1203, 1226,  # too many connections, or too much asked in this hour
        1053, 1077, 1079, 1080, 1927, 4169, 1317, 1152, 1158, 1159, 1160, 1161,  # shutdown, killed, connection lost
        1205, 1213,  # lock wait, deadlock
        2002, 2003, 2006, 2013, 2055,  # not reached, gone
    }
)  # fmt: skip
_LOST = 2013
UNKNOWN_TABLE = 1146
_REMEDIES = {
    1044: "the user has no rights on this database",
    1045: "check user and password",
    1142: "give the user the right to SELECT",
    1143: "give the user the right to SELECT all of these columns, or leave some out with `columns`",
    1698: "this user logs in without password through the server's own socket only; use another user",
    1792: "a source is read in a read-only transaction: the query must not write",
    1969: "statement timeout: raise statement_timeout_s",
    3024: "statement timeout: raise statement_timeout_s",
    3159: "the server asks for TLS: set tls: required",
    2026: "TLS failed: check tls, tls_ca and the name in the URL",
    1060: "give one of the columns another name in the query",
}


@dataclass(frozen=True)
class Endpoint:
    """Where and how to connect.

    Attributes:
        url: `mysql://user:password@host:port/database?socket=/path`.
        password: Used where the URL has none.
        tls: How far the server's certificate is checked.
        tls_ca: PEM file of the authorities; None for those of the system.
        tls_cert: PEM file with our own certificate.
        tls_key: PEM file with its key.
        connect_timeout_s: Give up connecting.
        idle_timeout_s: Give up when nothing arrives for this long.
        statement_timeout_s: The server ends a statement after this long; 0 is never.
    """

    url: str
    password: str | None = None
    tls: Tls = "preferred"
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    connect_timeout_s: float = 15
    idle_timeout_s: float = 300
    statement_timeout_s: float = 0

    def arguments(self) -> dict[str, Any]:
        """Return what PyMySQL is told about the server.

        Raises:
            ConfigError: The URL is not one of MySQL.
        """
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError:
            raise ConfigError("url: not a URL; write mysql://user@host:3306/database") from None
        if parts.scheme not in SCHEMES:
            raise ConfigError("url: must begin with mysql:// or mariadb://")
        options = dict(parse_qsl(parts.query))
        if unknown := sorted(set(options) - {"socket"}):
            raise ConfigError(f"url: unknown option {unknown[0]!r}; TLS and timeouts have keys of their own")
        password = unquote(parts.password) if parts.password else self.password
        return {
            "host": parts.hostname or "localhost",
            "port": port or DEFAULT_PORT,
            "user": unquote(parts.username or "") or None,
            # As bytes, because PyMySQL would write a text in Latin-1.
            "password": (password or "").encode(),
            "database": unquote(parts.path.removeprefix("/")) or None,
            "unix_socket": options.get("socket"),
        }

    def secrets(self) -> list[str]:
        """Return what no message may show."""
        inside = urlsplit(self.url).password
        return [each for each in (self.password, inside, unquote(inside or "")) if each]

    def tls_arguments(self) -> dict[str, Any]:
        """Return what PyMySQL is told about TLS.

        Raises:
            ConfigError: A file cannot be read.
        """
        import ssl  # only where it is used, because it takes a while to import

        if self.tls == "disabled":
            return {"ssl_disabled": True}
        if self.tls == "preferred":
            return {}
        try:
            context = ssl.create_default_context(cafile=self.tls_ca)
            if self.tls_cert:
                context.load_cert_chain(self.tls_cert, self.tls_key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"tls_ca, tls_cert, tls_key: cannot be used ({error})") from None
        if self.tls != "verify_identity":
            context.check_hostname = False
        if self.tls == "required":
            context.verify_mode = ssl.CERT_NONE
        return {"ssl": context}


def connect(endpoint: Endpoint) -> "pymysql.Connection[Any]":
    """Open a connection whose session speaks UTC and utf8mb4, and reads in one snapshot.

    Raises:
        MissingExtraError: PyMySQL is not installed.
        TransientError: The server does not answer or is full.
        PermanentError: It refuses us, or there is no such host.
    """
    try:
        import pymysql
    except ModuleNotFoundError:
        raise MissingExtraError("mysql", "the mysql extractor") from None
    arguments = {**endpoint.arguments(), **endpoint.tls_arguments()}
    with translated(endpoint):
        connection = pymysql.connect(
            **arguments,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=endpoint.connect_timeout_s,
            read_timeout=endpoint.idle_timeout_s,
            write_timeout=endpoint.idle_timeout_s,
            program_name="dteg",
        )
        with contextlib.ExitStack() as undo:
            undo.callback(connection.close)
            with connection.cursor() as cursor:
                for statement in _session(endpoint, is_mariadb(connection)):
                    cursor.execute(statement)
            undo.pop_all()
    return connection


def _session(endpoint: Endpoint, mariadb: bool) -> Iterator[str]:
    # What a value looks like must not depend on the server's settings.
    yield "SET SESSION time_zone = '+00:00'"
    yield "SET SESSION sql_mode = REPLACE(@@SESSION.sql_mode, 'PAD_CHAR_TO_FULL_LENGTH', '')"
    yield f"SET SESSION net_write_timeout = {NET_WRITE_TIMEOUT_S}"
    yield "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
    if not mariadb:
        yield "SET SESSION information_schema_stats_expiry = 0"
    if endpoint.statement_timeout_s:
        if mariadb:
            yield f"SET SESSION max_statement_time = {endpoint.statement_timeout_s:f}"
        else:
            yield f"SET SESSION max_execution_time = {max(1, round(endpoint.statement_timeout_s * 1000))}"


def is_mariadb(connection: "pymysql.Connection[Any]") -> bool:
    """Whether the server is MariaDB; they part in a few settings."""
    return "mariadb" in str(connection.get_server_info()).lower()


@contextlib.contextmanager
def translated(endpoint: Endpoint, stream: str = "") -> Iterator[None]:
    """Raise ours for errors of the driver and the network, sorted into transient and permanent."""
    import pymysql

    try:
        yield
    except DtegError:
        raise
    except pymysql.err.MySQLError as error:
        raise _translate(error, endpoint, stream) from None  # the driver's own text is not masked
    except TimeoutError:
        raise TransientError(
            f"the source has sent nothing for {endpoint.idle_timeout_s:g} s",
            component=COMPONENT,
            stream=stream,
        ) from None
    except OSError as error:
        raise TransientError(
            f"the connection to the source was lost: {redact(str(error), *endpoint.secrets())}",
            component=COMPONENT,
            stream=stream,
        ) from None


def _translate(error: "pymysql.err.MySQLError", endpoint: Endpoint, stream: str) -> DtegError:
    import ssl

    number, text = _parts(error)
    original = getattr(error, "original_exception", None)
    hopeless = isinstance(original, socket.gaierror | ssl.SSLError)
    if isinstance(original, ssl.SSLError):
        number = 2026
    # The server says `(using password: YES)`, which the mask would take for a password.
    message = redact(re.sub(r" \(using password: (YES|NO)\)", "", text), *endpoint.secrets())
    if number == _LOST and "timed out" in text:
        message = f"the source has sent nothing for {endpoint.idle_timeout_s:g} s"
    if isinstance(original, socket.gaierror):
        message = f"there is no host {endpoint.arguments()['host']!r}; check the URL"
    elif remedy := _REMEDIES.get(number):
        message = f"{message}; {remedy}"
    kind = TransientError if number in _TRANSIENT and not hopeless else PermanentError
    return kind(message, component=COMPONENT, stream=stream)


def _parts(error: "pymysql.err.MySQLError") -> tuple[int, str]:
    arguments = error.args
    if len(arguments) == 2 and isinstance(arguments[0], int):
        return arguments[0], str(arguments[1]) or type(error).__name__
    return 0, str(error) or type(error).__name__


def unknown_table(
    connection: "pymysql.Connection[Any]", database: str, table: str, stream: str
) -> PermanentError:
    """Return the error for a table that does not exist, with the near miss."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", [database])
        names = [name for (name,) in cursor.fetchall()]
    near = did_you_mean(table, names) or (
        "names are taken as they are, upper case included"
        if names
        else f"there are no tables in {database!r} to see"
    )
    return PermanentError(f"no table {database}.{table}; {near}", component=COMPONENT, stream=stream)
