"""Queries in BigQuery, each planned first: what it would read is known before a byte is paid for."""

import contextlib
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dteg.core.errors import ConfigError, MissingExtraError, PermanentError, TransientError
from dteg.core.secrets import redact
from dteg.metadata.clouds import BigQueryPlace
from dteg.metadata.probers import COMPONENT, Limits, Ran, Result, texts

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.cloud import bigquery

LABELS = {"dteg": "metadata"}
# Of one request; a job may take longer.
TIMEOUT_S = 30.0
# The library's own limit for trying again is ten minutes.
_RETRY_S = 20.0
_LEAST_BILLED = 10_000_000
_SCOPES = ("https://www.googleapis.com/auth/bigquery",)
# `400 POST https://...: ` before what the server says.
_HEAD = re.compile(r"^\d{3} (?:[A-Z]+ \S+: )?")


def client_of(place: BigQueryPlace) -> "bigquery.Client":
    """Return a client; it connects when it is asked something.

    Raises:
        MissingExtraError: The library is not installed.
        ConfigError: There are no credentials, or they cannot be read.
    """
    try:
        from google.auth import credentials, default, exceptions, load_credentials_from_file
        from google.cloud import bigquery
    except ModuleNotFoundError as error:
        raise MissingExtraError("bigquery", "metadata of BigQuery") from error
    options: dict[str, Any] = {}
    try:
        if place.endpoint:
            own: Any = credentials.AnonymousCredentials()  # type: ignore[no-untyped-call]
            options["client_options"] = {"api_endpoint": place.endpoint}
        elif place.credentials:
            own, _ = load_credentials_from_file(place.credentials, scopes=_SCOPES)  # type: ignore[no-untyped-call]
        else:
            own, _ = default(scopes=_SCOPES)
    except (exceptions.GoogleAuthError, OSError, ValueError) as error:
        said = redact(str(error)).splitlines()[0]
        raise ConfigError(
            f"no credentials for BigQuery: {said}; set GOOGLE_APPLICATION_CREDENTIALS, or ?credentials=FILE in the URL"
        ) from None
    return bigquery.Client(project=place.project, credentials=own, location=place.location or None, **options)


class Jobs:
    """Runs queries of one project within limits.

    Args:
        client: Of the project.
        max_bytes: What one query may read.
    """

    def __init__(self, client: "bigquery.Client", max_bytes: int) -> None:
        self.client, self.max_bytes = client, max_bytes
        self._left = 10 * max_bytes

    def planned(self, sql: str) -> int:
        """Have a query looked at without running it, which costs nothing.

        Returns:
            What it would read (bytes).

        Raises:
            PermanentError: It cannot run, or is no query.
            TransientError: BigQuery does not answer.
        """
        with translated():
            job = self.client.query(
                sql, job_config=self._config(dry_run=True), retry=retry(), job_retry=None, timeout=TIMEOUT_S
            )
            if job.statement_type not in (None, "SELECT"):
                raise PermanentError(f"{job.statement_type} is no query", component=COMPONENT)
            return int(job.total_bytes_processed or 0)

    def run(self, sql: str, rows: int, timeout_s: float) -> Result:
        """Run a query. One that would read too much is not begun, and BigQuery is told the limit too.

        Args:
            sql: The query.
            rows: How many rows of the result are read.
            timeout_s: For the job; then it is cancelled (s).

        Raises:
            PermanentError: It cannot run, would read too much, or takes too long.
            TransientError: BigQuery does not answer.
        """
        self.affordable(sql)
        return self._run(sql, rows, timeout_s)

    def spend(self, sql: str, rows: int, timeout_s: float) -> Result:
        """Run a query for a collection, which as a whole reads ten times `max_bytes` at most.

        Raises:
            PermanentError: See `run`; or nothing is left.
            TransientError: BigQuery does not answer.
        """
        size = max(self.affordable(sql), _LEAST_BILLED)
        if size > self._left:
            raise PermanentError("this collection has read all that it may", component=COMPONENT)
        self._left -= size
        return self._run(sql, rows, timeout_s)

    def affordable(self, sql: str) -> int:
        """Have a query looked at, and return what it would read (bytes).

        Raises:
            PermanentError: It cannot run, or would read more than it may.
            TransientError: BigQuery does not answer.
        """
        if (size := self.planned(sql)) > self.max_bytes:
            raise PermanentError(
                f"it would read {size:,} bytes; max_bytes is {self.max_bytes:,}", component=COMPONENT
            )
        return size

    def _run(self, sql: str, rows: int, timeout_s: float) -> Result:
        config = self._config(
            maximum_bytes_billed=max(self.max_bytes, _LEAST_BILLED), job_timeout_ms=int(timeout_s * 1000)
        )
        began = time.monotonic()
        with translated():
            job = self.client.query(sql, job_config=config, retry=retry(), job_retry=None, timeout=TIMEOUT_S)
            self._wait(job, began + timeout_s, timeout_s)
            found = job.result(max_results=rows, retry=retry(), timeout=TIMEOUT_S, job_retry=None)
            values = [tuple(row.values()) for row in found]
        took = round((time.monotonic() - began) * 1000, 2)
        return Result([field.name for field in found.schema], values, took)

    def _wait(self, job: Any, until: float, timeout_s: float) -> None:
        pause = 0.02
        while not job.done(retry=retry(), timeout=TIMEOUT_S):
            if time.monotonic() > until:
                job.cancel(retry=retry(), timeout=TIMEOUT_S)
                raise PermanentError(f"it takes longer than {timeout_s:g} s", component=COMPONENT)
            time.sleep(pause)
            pause = min(2 * pause, 0.5)

    def _config(self, **settings: Any) -> "bigquery.QueryJobConfig":
        from google.cloud import bigquery

        return bigquery.QueryJobConfig(use_legacy_sql=False, use_query_cache=False, labels=LABELS, **settings)


class BigQueryProber:
    """Runs statements of the gate: a dry run in the place of EXPLAIN, then a run within limits.

    There are no transactions to undo: that nothing is written is what the gate sees to, and a user who may only read.

    Args:
        jobs: Of the project.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    def run(self, sql: str, limits: Limits) -> Ran:
        """See `Prober.run`."""
        try:
            if not limits.run:
                self._jobs.affordable(sql)
                return Ran()
            found = self._jobs.run(sql, limits.rows + 1, limits.timeout_s)
        except PermanentError as error:
            return Ran(str(error))
        return Ran("", found.columns, texts(found.rows), found.runtime_ms)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn errors of the library into ours.

    Raises:
        TransientError: BigQuery does not answer, or asks to wait.
        PermanentError: It refuses.
    """
    import requests
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError, TransportError

    try:
        yield
    except (exceptions.ServerError, exceptions.TooManyRequests, exceptions.RetryError) as error:
        raise TransientError(f"BigQuery: {_said(error)}", component=COMPONENT) from None
    except (requests.RequestException, TransportError) as error:
        raise TransientError(
            f"BigQuery does not answer: {type(error).__name__}", component=COMPONENT
        ) from None
    except (exceptions.GoogleAPICallError, GoogleAuthError) as error:
        raise PermanentError(_said(error), component=COMPONENT) from None


def retry() -> "Retry":
    """Return for how long a request is tried again."""
    from google.cloud.bigquery.retry import DEFAULT_RETRY

    return DEFAULT_RETRY.with_timeout(_RETRY_S)


def _said(error: Exception) -> str:
    lines = redact(str(error)).strip().splitlines() or [type(error).__name__]
    text = _HEAD.sub("", lines[0])
    return text.partition("; reason: ")[0][:300]
