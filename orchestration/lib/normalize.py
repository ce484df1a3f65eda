"""A flat file that becomes tables in normal form at each run: an asset whose checks are the proof."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from dteg.core.project import Project
from dteg.core.retry import RetryPolicy
from orchestration.lib.building import ProjectComponent
from orchestration.lib.failures import dagster_failures, tell

if TYPE_CHECKING:
    from dteg.normalize.service import NormalizeResult

GROUP = "normalized"
# What `dteg.normalize.verify` looks at, in its order.
CHECKS = {
    "lossless": "The tables joined again are the file, row by row.",
    "keys": "No two rows share a key, and none is without.",
    "foreign_keys": "Each reference finds its row.",
    "normal_form": "Nothing depends on anything but the key.",
    "placement": "Each column is stored once.",
    "types": "Each column has its type.",
}


class NormalizedFile(ProjectComponent):
    """A flat file taken apart into the tables of a schema; its tables are exchanged at each run.

    Example:
        ```yaml
        type: orchestration.lib.NormalizedFile
        attributes:
          file: data/orders.csv
          into: shop
        ```
    """

    about = "A flat file taken apart into tables in normal form."
    tags = ()
    makes = ("asset", "asset_check")

    file: str = Field(description="Path below the project, or a URL.", examples=["data/orders.csv"])
    into: str = Field(description="Schema that holds these tables and nothing else.", examples=["shop"])
    form: str = Field("3NF", description="3NF or BCNF.", examples=["3NF"])
    lists: str = Field("sure", description="Lists that become tables: sure, all or none.", examples=["sure"])
    options: dict[str, str] = Field(
        {}, description="Settings of the files extractor.", examples=[{"encoding": "cp1252"}]
    )

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Build the asset and its checks."""
        values = {"into": self.into, "form": self.form, "lists": self.lists, "options": self.options}
        return dg.Definitions(assets=[normalized_asset(Project.find(), self.file, values)])


def normalized_asset(project: Project, file: str, values: dict[str, Any]) -> dg.AssetsDefinition:
    """Return the asset.

    Args:
        project: Whose warehouse.
        file: Path below the project, or a URL.
        values: Of the request, `into` among them.
    """
    key = dg.AssetKey([GROUP, values["into"]])
    checks = [
        dg.AssetCheckSpec(name, asset=key, blocking=True, description=words) for name, words in CHECKS.items()
    ]
    spec = dg.AssetSpec(key, group_name=GROUP, kinds={"postgres"}, description=f"The tables of {file}.")

    @dg.multi_asset(name=f"{GROUP}__{values['into']}", specs=[spec], check_specs=checks)
    def normalized(context: dg.AssetExecutionContext) -> Iterator[Any]:
        from dteg.normalize.service import Normalizer, NormalizeRequest

        with dagster_failures(context, RetryPolicy(), tried_before=False):
            request = NormalizeRequest.model_validate({**values, "replace": True})
            place = file if "://" in file else str(project.root / file)
            result = Normalizer.of(project).run(request, place, lambda step: tell(context, step))
        yield dg.MaterializeResult(asset_key=key, metadata=_metadata(result))
        for table in result.plan.tables:
            metadata = {"dagster/row_count": table.rows}
            yield dg.AssetMaterialization(dg.AssetKey([values["into"], table.name]), metadata=metadata)
        for name, holds in result.proof.checks.items():
            proof = {"rows": str(result.proof.rows), "hash": result.proof.hash_after}
            yield dg.AssetCheckResult(passed=holds, check_name=name, asset_key=key, metadata=proof)

    return normalized


def _metadata(result: "NormalizeResult") -> dict[str, Any]:
    tables = [
        dg.TableRecord({
            "table": table.name, "rows": table.rows, "key": ", ".join(table.primary_key),
            "columns": ", ".join(table.columns),
        })
        for table in result.plan.tables
    ]  # fmt: skip
    return {
        "dagster/row_count": result.proof.rows,
        "tables": dg.MetadataValue.table(tables),
        "diagram": dg.MetadataValue.md(f"```mermaid\n{result.diagram}```"),
        "exceptions": result.proof.exceptions,
        "values before": result.proof.cells_before,
        "values after": result.proof.cells_after,
    }
