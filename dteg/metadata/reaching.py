"""How a source is reached for collecting, and for running examples."""

import contextlib
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

from dteg.core.control import session
from dteg.core.errors import NotAvailableError
from dteg.core.postgres import connect, translated
from dteg.core.project import Project
from dteg.metadata.client.documents import sha256
from dteg.metadata.clouds import BigQueryPlace, CloudSource, cloud_source, place_of
from dteg.metadata.collectors import Collector
from dteg.metadata.models import SourceInfo
from dteg.metadata.postgres import PostgresCollector
from dteg.metadata.probers import COMPONENT
from dteg.sources.models import WAREHOUSE, Kind

# Of one statement, the catalogue included.
_TIMEOUT_S = 60.0


@contextlib.contextmanager
def reached(project: Project, source: str, now: datetime) -> Iterator[tuple[Collector, SourceInfo]]:
    """Connect to a source.

    Args:
        project: Whose.
        source: `warehouse`, or the name of a source of kind postgres or mysql, or of `metadata/sources.yaml`.
        now: The time.

    Raises:
        NotFoundError: There is no such source.
        NotAvailableError: It is of another kind: its tables are in the warehouse as `src_...`, if it is linked.
        TransientError: It does not answer.
    """
    if source == WAREHOUSE:
        with _postgres(project.warehouse_url(), [], now) as collector:
            yield collector, _info(source, collector, _place(project.warehouse_url()))
        return
    if (cloud := cloud_source(project, source)) is not None:
        with reached_cloud(cloud, now) as found:
            yield found
        return
    from dteg.sources.definitions import Definitions
    from dteg.sources.mysql import MysqlLinker
    from dteg.sources.service import DOMAIN, Sources

    known = Sources.of(project).get(source)
    with session(project, DOMAIN) as own:
        link = Definitions(project).link(own, known)
    if known.kind is Kind.POSTGRES:
        with _postgres(link.url, known.patterns, now) as collector:
            yield collector, _info(source, collector, _place(link.url))
    elif known.kind is Kind.MYSQL:
        from dteg.metadata.mysql import MysqlCollector

        linker = MysqlLinker()
        with linker.connected(link, _TIMEOUT_S) as connection:
            inner = MysqlCollector(connection, linker.server(link).database, now, known.patterns)
            yield inner, _info(source, inner, _place(link.url))
    else:
        raise NotAvailableError(
            f"metadata of a source of kind {known.kind}; postgres and mysql are there, and BigQuery and Snowflake "
            "by metadata/sources.yaml"
        )


@contextlib.contextmanager
def reached_cloud(cloud: CloudSource, now: datetime) -> Iterator[tuple[Collector, SourceInfo]]:
    """Connect to a warehouse in the cloud.

    Args:
        cloud: Which one.
        now: The time.

    Raises:
        ConfigError: Its URL is wrong, or there are no credentials.
        MissingExtraError: The library for it is not installed.
        TransientError: It does not answer.
    """
    place = place_of(cloud)
    if isinstance(place, BigQueryPlace):
        from dteg.metadata.bigquery import BigQueryCollector
        from dteg.metadata.bigquery_jobs import client_of

        with contextlib.closing(client_of(place)) as client:
            bigquery = BigQueryCollector(client, place.dataset, place.max_bytes, now, cloud.tables)
            yield bigquery, _info(cloud.name, bigquery, f"{place.endpoint}/{place.project}/{place.dataset}")
        return
    from dteg.metadata.snowflake import SnowflakeCollector
    from dteg.metadata.snowflake_session import Session

    with contextlib.closing(Session(place)) as own:
        snowflake = SnowflakeCollector(own, place, now, cloud.tables)
        where = f"{place.endpoint}/{place.account}/{place.database}/{place.schema}"
        yield snowflake, _info(cloud.name, snowflake, where)


@contextlib.contextmanager
def _postgres(url: str, patterns: list[str], now: datetime) -> Iterator[Collector]:
    with (
        translated(COMPONENT),
        connect(url, component=COMPONENT, statement_timeout_s=_TIMEOUT_S) as connection,
    ):
        yield PostgresCollector(connection, now, patterns)


def _info(source: str, collector: Collector, place: str) -> SourceInfo:
    return SourceInfo(
        name=source, engine=collector.engine, dialect=collector.dialect, uri_fingerprint=sha256(place.encode())[:16]
    )  # fmt: skip


def _place(url: str) -> str:
    """Return where a database is, without who asks it."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}{parts.path}?{parts.query if not parts.hostname else ''}"
