"""DESCRIPTION.

As it was made it counts rows by groups, so that it runs at once: put your own statements in the place of `_SQL`.
"""

from pydantic import Field, field_validator

from dteg.connectors import Capabilities, ConnectorConfig, Transformer
from dteg.core.errors import ConfigError
from dteg.core.identifiers import TableName, quote

# The table stays when its rows are replaced, and with it views, grants and indexes.
_SQL = """
create table if not exists {target} as
select {columns}, count(*) as row_count from {source} group by {columns} with no data;

truncate {target};

insert into {target} ({columns}, row_count)
select {columns}, count(*) as row_count from {source} group by {columns};
"""


class AcmeConfig(ConnectorConfig):
    """What is counted, and where the counts go."""

    source: str = Field(description="Table to count, as schema.table.")
    target: str = Field(description="Table for the counts, as schema.table; its schema must be there.")
    group_by: list[str] = Field(min_length=1, description="Columns of `source` that make a group.")

    @field_validator("source", "target")
    @classmethod
    def _is_table(cls, text: str) -> str:
        try:
            TableName.parse(text)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return text


class AcmeTransformer(Transformer[AcmeConfig]):
    """Keeps a table with the number of rows in each group."""

    capabilities = Capabilities()

    def sql(self) -> str:
        """Return the statements, with every name in quotes."""
        return _SQL.format(
            source=TableName.parse(self.config.source).sql,
            target=TableName.parse(self.config.target).sql,
            columns=", ".join(quote(name) for name in self.config.group_by),
        )
