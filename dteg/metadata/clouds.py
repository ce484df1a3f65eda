"""Warehouses in the cloud whose metadata is collected where they are: `metadata/sources.yaml` of the project."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from pydantic import Field

from dteg.core.config import ConfigModel
from dteg.core.errors import ConfigError
from dteg.core.project import Project
from dteg.core.secrets import resolve
from dteg.core.yaml import read, validate

FILE = "metadata/sources.yaml"
BIGQUERY, SNOWFLAKE = "bigquery", "snowflake"
# What one query may read unless the URL says otherwise; a collection may read ten times as much.
MAX_BYTES = 1_000_000_000
_LEAST_BYTES = 10_000_000
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_EXAMPLES = {
    BIGQUERY: "bigquery://project/dataset?location=EU",
    SNOWFLAKE: "snowflake://user:password@account/database/schema?role=READER&warehouse=SMALL",
}
# Roles that may do anything: nobody asks a model for SQL as one of these.
_TOO_MUCH = ("ACCOUNTADMIN", "ORGADMIN", "SECURITYADMIN", "SYSADMIN", "USERADMIN")


class CloudSource(ConfigModel):
    """One warehouse in the cloud."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")] = Field(
        description="Its name in commands and of its cache: small letters, digits and _."
    )
    url: str = Field(
        min_length=1,
        max_length=4_000,
        description="bigquery://... or snowflake://... without a password, or secret://env/NAME, secret://file/PATH.",
    )
    tables: list[str] = Field(
        [], max_length=200, description="Which tables, such as sales.* or !*_old; all if empty."
    )


class CloudsFile(ConfigModel):
    """The whole `sources.yaml`."""

    sources: list[CloudSource] = Field([], max_length=100, description="Warehouses in any order.")


@dataclass(frozen=True)
class BigQueryPlace:
    """Where the tables of a BigQuery project are.

    Attributes:
        project: Queries are billed to it, and its tables are read.
        dataset: The only one that is collected; all if empty.
        location: Such as EU; empty for the client's default.
        credentials: JSON file of a service account; empty for those of the environment.
        endpoint: Another server than Google's, on this machine only; asked without credentials.
        max_bytes: What one query may read.
    """

    project: str
    dataset: str = ""
    location: str = ""
    credentials: str = ""
    endpoint: str = ""
    max_bytes: int = MAX_BYTES


@dataclass(frozen=True)
class SnowflakePlace:
    """Where the tables of a Snowflake database are.

    Attributes:
        account: Such as `acme-analytics`.
        user: Who reads.
        password: Password or programmatic access token; empty with a key.
        database: The only one that is collected.
        schema: Likewise; all if empty.
        role: What the user may do; one that can only read.
        warehouse: What computes; empty for the user's default.
        private_key_file: PEM file; empty with a password.
        endpoint: Another server than Snowflake's, on this machine only.
        max_bytes: What one query may read by its plan.
    """

    account: str
    user: str
    password: str = field(repr=False)
    database: str
    schema: str
    role: str
    warehouse: str = ""
    private_key_file: str = ""
    endpoint: str = ""
    max_bytes: int = MAX_BYTES


Place = BigQueryPlace | SnowflakePlace


def cloud_sources(project: Project) -> list[CloudSource]:
    """Return the warehouses of `metadata/sources.yaml`; none without the file.

    Raises:
        ConfigError: The file is wrong; with the line.
    """
    path = project.root / FILE
    if not path.is_file():
        return []
    found = validate(read(path, FILE), CloudsFile).sources
    names = [each.name for each in found]
    if len(set(names)) < len(names) or "warehouse" in names:
        raise ConfigError(f"{FILE}: each name once, and none is `warehouse`")
    return found


def cloud_source(project: Project, name: str) -> CloudSource | None:
    """Return the warehouse of a name; None if there is none. Raises as `cloud_sources`."""
    return next((each for each in cloud_sources(project) if each.name == name), None)


def place_of(source: CloudSource) -> Place:
    """Return where a warehouse is.

    Raises:
        ConfigError: The URL is none of a warehouse; the message does not repeat it.
    """
    is_secret = source.url.startswith("secret://")
    url = resolve(source.url) if is_secret else source.url
    where = f"{FILE}: {source.name}"
    try:
        parts = urlsplit(url.strip())
        if parts.password and not is_secret:
            raise ConfigError(f"{where}: no password in the file: url: secret://env/NAME")
        if parts.scheme == BIGQUERY:
            return _bigquery(parts, where)
        if parts.scheme == SNOWFLAKE:
            return _snowflake(parts, where)
    except ValueError:
        raise ConfigError(f"{where}: the URL cannot be read") from None
    raise ConfigError(f"{where}: the URL is written like {' or '.join(_EXAMPLES.values())}")


def _bigquery(parts: SplitResult, where: str) -> BigQueryPlace:
    settings = _settings(parts, ("location", "credentials", "endpoint", "max_bytes"), where)
    # Not `hostname`: that is in small letters.
    project, dataset = unquote(parts.netloc), unquote(parts.path.strip("/"))
    if not project or "@" in project or "/" in dataset:
        raise ConfigError(f"{where}: the URL is written like {_EXAMPLES[BIGQUERY]}")
    return BigQueryPlace(
        project, dataset, settings.get("location", ""), settings.get("credentials", ""), _endpoint(settings, where),
        _max_bytes(settings, where),
    )  # fmt: skip


def _snowflake(parts: SplitResult, where: str) -> SnowflakePlace:
    settings = _settings(parts, ("role", "warehouse", "private_key_file", "endpoint", "max_bytes"), where)
    database, _, schema = parts.path.strip("/").partition("/")
    if not parts.hostname or not parts.username or not database or "/" in schema:
        raise ConfigError(f"{where}: the URL is written like {_EXAMPLES[SNOWFLAKE]}")
    role = settings.get("role", "")
    if not role or role.upper() in _TOO_MUCH:
        raise ConfigError(f"{where}: name a role that can only read: ...?role=READER (not {role or 'none'})")
    password, key = unquote(parts.password or ""), settings.get("private_key_file", "")
    if bool(password) == bool(key):
        raise ConfigError(f"{where}: either a password in the URL or private_key_file=PATH")
    return SnowflakePlace(
        parts.hostname, unquote(parts.username), password, _stored(database), _stored(schema), role,
        settings.get("warehouse", ""), key, _endpoint(settings, where), _max_bytes(settings, where),
    )  # fmt: skip


def _stored(name: str) -> str:
    """Return a name as Snowflake keeps it: in capitals, unless it is written in quotes."""
    name = unquote(name)
    return name[1:-1] if len(name) > 2 and name[0] == name[-1] == '"' else name.upper()


def _settings(parts: SplitResult, known: Sequence[str], where: str) -> dict[str, str]:
    found = dict(parse_qsl(parts.query))
    if unknown := sorted(set(found) - set(known)):
        raise ConfigError(f"{where}: {', '.join(unknown)}: the URL may have {', '.join(known)}")
    return found


def _endpoint(settings: dict[str, str], where: str) -> str:
    """Return the other server: it is told names and rows without encryption, so it is on this machine."""
    endpoint = settings.get("endpoint", "")
    parts = urlsplit(endpoint)
    if endpoint and (parts.scheme != "http" or parts.hostname not in _LOOPBACK or not parts.port):
        raise ConfigError(f"{where}: endpoint is a server on this machine, such as http://127.0.0.1:9050")
    return endpoint


def _max_bytes(settings: dict[str, str], where: str) -> int:
    text = settings.get("max_bytes", str(MAX_BYTES))
    if not text.isdigit() or int(text) < _LEAST_BYTES:
        raise ConfigError(f"{where}: max_bytes is a number of bytes, at least {_LEAST_BYTES}")
    return int(text)
