"""What the compiler hands out."""

from pydantic import ConfigDict, Field, PrivateAttr

from dteg.core.config import ConfigModel
from dteg.core.errors import Problem
from dteg.datasets.catalogue import CatalogueTable
from dteg.datasets.compiler.joining import JoinStep
from dteg.datasets.compiler.nodes import exp
from dteg.datasets.compiler.outputs import Output
from dteg.datasets.compiler.terms import EXACT, TextCompare
from dteg.datasets.compiler.work import Work
from dteg.datasets.models import DatasetColumn, Dependency
from dteg.sources.models import Relation


class Compiled(ConfigModel):
    """The query of a dataset."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    sql: str = Field(description="One SELECT, without values to bind.")
    columns: list[DatasetColumn] = Field(description="Columns of the result, in order.")
    relations: list[Relation] = Field(description="What it reads in the warehouse.")
    depends_on: list[Dependency] = Field(description="The same, as people name it.")
    warnings: list[Problem] = Field(
        [], description="What may not be meant so; `path` says where in the definition."
    )

    _steps: list[JoinStep] = PrivateAttr([])
    _tables: dict[str, CatalogueTable] = PrivateAttr({})
    _mode: TextCompare = PrivateAttr(EXACT)

    @classmethod
    def of(cls, work: Work, query: exp.Select, outputs: list[Output]) -> "Compiled":
        """Write the query as text, and say what it reads."""
        tables = [*work.tables.values(), *work.lookups.tables()]
        relations = {str(table.relation): table.relation for table in tables}
        dependencies = {(table.dependency.kind, table.dependency.name): table.dependency for table in tables}
        compiled = cls(
            sql=to_sql(query),
            columns=[
                DatasetColumn(name=each.name, type=each.term.type.sql, nullable=each.term.nullable)
                for each in outputs
            ],
            relations=list(relations.values()),
            depends_on=list(dependencies.values()),
            warnings=work.warnings.found,
        )
        compiled._steps, compiled._tables, compiled._mode = work.steps, dict(work.tables), work.mode
        return compiled

    @property
    def joins(self) -> list[JoinStep]:
        """The joins in the order in which they are carried out."""
        return self._steps

    @property
    def mode(self) -> TextCompare:
        """How it compares texts."""
        return self._mode

    @property
    def tables(self) -> dict[str, CatalogueTable]:
        """The sources by alias."""
        return self._tables


def to_sql(node: exp.Expression) -> str:
    """Write a query as text; each name quoted, nothing that is not part of the query."""
    return node.sql("postgres", identify=True, comments=False, pretty=True)
