"""The `rest` loader: records in batches to a web API."""

from typing import Literal
from urllib.parse import quote

from pydantic import Field, field_validator

from dteg.connectors import Capabilities, Context, Loader, LoadPlan
from dteg.connectors.http import HttpClient, HttpConfig, HttpUrl
from dteg.core.errors import ConfigError
from dteg.core.identifiers import TableName

from .delivery import COMPONENT, Delivery
from .session import RestSession

_NEVER_ABOUT_RECORDS = frozenset({401, 403, 404, 405, 408, 409, 425, 429})


class RestLoaderConfig(HttpConfig):
    """Config of the `rest` loader."""

    url: HttpUrl = Field(description="Where batches go; `{stream}` becomes the name of the stream.")
    method: Literal["POST", "PUT"] = Field("POST", description="HTTP method of a batch.")
    wrap: str = Field("", description="Key of an object around the array, such as `records`; empty for none.")
    batch_rows: int = Field(500, ge=1, le=100_000, description="Records per request.")
    idempotency_header: str = Field(
        "Idempotency-Key", pattern="^[A-Za-z0-9-]+$", description="Header that carries the key of a batch."
    )
    bad_record_statuses: list[int] = Field(
        [400, 413, 422], description="Answers that mean that a record in the batch is bad."
    )

    @field_validator("bad_record_statuses")
    @classmethod
    def _about_records(cls, value: list[int]) -> list[int]:
        if wrong := [status for status in value if status // 100 != 4 or status in _NEVER_ABOUT_RECORDS]:
            raise ValueError(f"not about single records: {', '.join(map(str, wrong))}")
        return value


class RestLoader(Loader[RestLoaderConfig]):
    """Sends each record at least once, and once on servers that honour idempotency keys."""

    capabilities = Capabilities(dispositions=frozenset({"append", "merge"}))

    def __init__(self, config: RestLoaderConfig, context: Context) -> None:
        """Keep the config; open nothing yet."""
        super().__init__(config, context)
        self._client = HttpClient(config, component=COMPONENT)

    @classmethod
    def target(cls, config: RestLoaderConfig, stream: str) -> TableName:  # noqa: ARG003 - the URL is no table
        """Return the stream's name: a web API has no tables."""
        return TableName("rest", stream)

    def check(self) -> None:
        """Ask with OPTIONS whether the server is there and takes the credentials; it may know no OPTIONS."""
        self._client.request(
            "OPTIONS", self._url("check"), accept=set(range(300, 500)) - {401, 403, 408, 425, 429} | {501}
        )

    def open(self, plan: LoadPlan) -> RestSession:
        """Start a load, waiting until no other load of the same stream is running."""
        _check_plan(plan)
        config = self.config
        delivery = Delivery(
            client=self._client,
            stream=plan.stream,
            url=self._url(plan.stream),
            method=config.method,
            wrap=config.wrap,
            key_header=config.idempotency_header,
            bad_record_statuses=frozenset(config.bad_record_statuses),
        )
        folder = self.context.project.state_dir / "state" / "rest"
        return RestSession(plan, delivery, config.batch_rows, folder)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _url(self, stream: str) -> str:
        return self.config.url.replace("{stream}", quote(stream, safe=""))


def _check_plan(plan: LoadPlan) -> None:
    """Refuse what a web API cannot do.

    Raises:
        ConfigError: With what to write instead.
    """
    if plan.disposition not in RestLoader.capabilities.dispositions:
        raise ConfigError(f"the rest loader cannot {plan.disposition}; it can append and merge")
    if plan.disposition == "merge" and not plan.primary_key:
        raise ConfigError("merge needs a primary_key: the server must know which record a new one replaces")
    if plan.full_refresh and plan.disposition == "append":
        raise ConfigError(
            "full refresh would send every record twice: a web API cannot be emptied; use merge"
        )
