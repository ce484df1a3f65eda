"""The PostgreSQL loader: its config, and how it opens a load."""

from typing import ClassVar, Literal

from pydantic import Field

from dteg.connectors import Capabilities, ConnectionUrl, ConnectorConfig, Loader, LoadPlan
from dteg.core.identifiers import TableName

from .session import PostgresSession


class PostgresLoaderConfig(ConnectorConfig):
    """Where to load, and how patiently."""

    table: str = Field(
        min_length=1, description="Target as `schema.table`; `{stream}` stands for the stream's name."
    )
    url: ConnectionUrl | None = Field(
        None,
        description="`postgresql://` URL without password, or `secret://` reference; default: the warehouse.",
    )
    lock_timeout_s: float = Field(
        600, gt=0, description="Wait this long for another load of the same table, and for a lock on it."
    )
    idle_timeout_s: float = Field(
        60,
        gt=0,
        description="After this long without a word, ask the server whether it still works; if not, give up.",
    )
    statement_timeout_s: float = Field(
        21_600, gt=0, description="Longest time of one statement, such as the publish, even if it does."
    )
    only_new: bool = Field(False, description="Refuse to load into a table that is there already.")
    repeated_keys: Literal["last", "refuse"] = Field(
        "last",
        description="merge, scd2: of rows with one key in one load the last one counts, or refuse the load.",
    )


class PostgresLoader(Loader[PostgresLoaderConfig]):
    """Loads into one PostgreSQL database by COPY."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        dispositions=frozenset({"append", "replace", "merge", "scd2"}),
        transactional=True,
        takes_columns=True,
    )

    @classmethod
    def target(cls, config: PostgresLoaderConfig, stream: str) -> TableName:
        """Return the table a stream lands in."""
        return TableName.parse(config.table.replace("{stream}", stream))

    def database_url(self) -> str:
        """Return the URL of the target database."""
        return self.config.url.reveal() if self.config.url else self.context.project.warehouse_url()

    def check(self) -> None:
        """Connect once."""
        from dteg.core.postgres import connect

        connect(self.database_url()).close()

    def open(self, plan: LoadPlan) -> PostgresSession:
        """Connect, wait for other loads of the same table to end, and read what was saved."""
        return PostgresSession(
            self.database_url(),
            plan,
            lock_timeout_s=self.config.lock_timeout_s,
            idle_timeout_s=self.config.idle_timeout_s,
            statement_timeout_s=self.config.statement_timeout_s,
            only_new=self.config.only_new,
            refuse_repeats=self.config.repeated_keys == "refuse",
        )
