"""What dbt's manifest says of tables: descriptions, tests, relationships, metrics, and examples in `meta`."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dteg.core.project import Project
from dteg.metadata.models import DbtEntry, ForeignKeyEntry, MetricEntry

_TABLES = ("model", "seed", "snapshot", "source")
# A manifest larger than this is none.
_MAX_BYTES = 200 << 20


@dataclass
class DbtTable:
    """One table as dbt knows it."""

    unique_id: str
    description: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    tests: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    owner: str | None = None
    tier: str | None = None
    metrics: list[MetricEntry] = field(default_factory=list)
    references: list[ForeignKeyEntry] = field(default_factory=list)
    examples: list[tuple[str, str]] = field(default_factory=list)

    @property
    def entry(self) -> DbtEntry:
        """What the cache says of it."""
        return DbtEntry(unique_id=self.unique_id, tests=sorted(set(self.tests)))


def dbt_tables(project: Project) -> dict[str, DbtTable]:
    """Return the tables of dbt by `schema.name`; none if dbt has not written its manifest."""
    path = project.dbt_dir / "target" / "manifest.json"
    try:
        if path.stat().st_size > _MAX_BYTES:
            return {}
        manifest = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return _read(manifest) if isinstance(manifest, dict) else {}


def _read(manifest: Mapping[str, Any]) -> dict[str, DbtTable]:
    nodes = {**_mapping(manifest, "nodes"), **_mapping(manifest, "sources")}
    names = {key: _table_id(node) for key, node in nodes.items() if node.get("resource_type") in _TABLES}
    tables = {names[key]: _table(key, nodes[key]) for key in names}
    for node in nodes.values():
        if node.get("resource_type") == "test":
            _add_test(node, names, tables)
    _add_metrics(manifest, names, tables)
    return tables


def _table_id(node: Mapping[str, Any]) -> str:
    name = node.get("identifier") or node.get("alias") or node.get("name")
    return f"{node.get('schema')}.{name}"


def _table(key: str, node: Mapping[str, Any]) -> DbtTable:
    meta = {**_mapping(node, "meta"), **_mapping(_mapping(node, "config"), "meta")}
    columns = _mapping(node, "columns")
    return DbtTable(
        key,
        description=str(node.get("description") or ""),
        columns={name: str(each.get("description") or "") for name, each in columns.items()},
        tags=[str(tag) for tag in node.get("tags") or ()],
        owner=_text(meta.get("owner")),
        tier=_text(meta.get("tier")),
        examples=[
            (str(each["question"]), str(each["sql"]))
            for each in meta.get("examples") or ()
            if isinstance(each, dict) and each.get("question") and each.get("sql")
        ],
    )


def _add_test(node: Mapping[str, Any], names: Mapping[str, str], tables: Mapping[str, DbtTable]) -> None:
    told = _mapping(node, "test_metadata")
    owner = tables.get(names.get(str(node.get("attached_node")), ""))
    if owner is None or not told.get("name"):
        return
    values = {**_mapping(told, "kwargs"), **_mapping(_mapping(told, "kwargs"), "arguments")}
    column = str(node.get("column_name") or values.get("column_name") or "")
    owner.tests.append(f"{told['name']}({column})" if column else str(told["name"]))
    if told["name"] != "relationships" or not column or not values.get("field"):
        return
    reads = _mapping(node, "depends_on").get("nodes") or ()
    others = [names[key] for key in reads if key in names and key != node.get("attached_node")]
    if len(others) == 1:
        reference = ForeignKeyEntry(
            columns=[column], ref_table=others[0], ref_columns=[str(values["field"])], confidence=0.95, origin="dbt"
        )  # fmt: skip
        owner.references.append(reference)


def _add_metrics(
    manifest: Mapping[str, Any], names: Mapping[str, str], tables: Mapping[str, DbtTable]
) -> None:
    models = _mapping(manifest, "semantic_models")
    for metric in _mapping(manifest, "metrics").values():
        entry = MetricEntry(
            name=str(metric.get("name")), label=str(metric.get("label") or ""), type=str(metric.get("type") or ""),
            description=str(metric.get("description") or ""), expression=_expression(metric, models),
        )  # fmt: skip
        for table_id in {names[key] for key in _below(metric, models) if key in names}:
            tables[table_id].metrics.append(entry)


def _below(metric: Mapping[str, Any], models: Mapping[str, Any]) -> Iterator[str]:
    """Yield the ids of the models that a metric is made from."""
    for key in _mapping(metric, "depends_on").get("nodes") or ():
        yield from (
            _mapping(models.get(key) or {}, "depends_on").get("nodes") or () if key in models else (key,)
        )


def _expression(metric: Mapping[str, Any], models: Mapping[str, Any]) -> str:
    """Return `sum(amount)` for a simple metric, the formula of a derived one, or nothing."""
    values = _mapping(metric, "type_params")
    if values.get("expr"):
        return str(values["expr"])
    wanted = _mapping(values, "measure").get("name")
    for model in models.values():
        for measure in model.get("measures") or ():
            if wanted and measure.get("name") == wanted:
                return f"{measure.get('agg')}({measure.get('expr') or wanted})"
    return ""


def _mapping(of: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = of.get(key)
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return None if value is None else str(value)
