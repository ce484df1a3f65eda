"""The file of a dataset: the only definition of its YAML and JSON.

A dataset is described, never written as SQL: every name is looked up in the catalogue, every value becomes a literal,
and a formula is a small language of its own. `dteg.datasets.compiler` makes the query of it. Nothing here needs a
connection or the optional package that writes queries.

| module | keys |
| --- | --- |
| `definition` | the whole |
| `sources` | `sources`, `joins` |
| `columns` | `columns` |
| `filters` | `filters`, `having` |
| `measures` | `group_by`, `measures` |
| `upkeep` | `cache`, `snapshot`, `checks` |
| `values` | texts and numbers that several of them take |
| `documents` | a file in, plain values out |
"""

from dteg.datasets.spec.columns import Column, FormulaColumn, FromColumn, Lookup, LookupColumn
from dteg.datasets.spec.definition import MAX_COLUMNS, MAX_SOURCES, DatasetSpec, Order
from dteg.datasets.spec.documents import dump_spec, load_spec, parse_spec, placed, spec_of
from dteg.datasets.spec.filters import (
    MAX_CONDITIONS,
    MAX_VALUES,
    AllOf,
    AnyOf,
    ColumnValue,
    Condition,
    Filter,
    FilterValue,
    NotOf,
    Operator,
    Relative,
    conditions,
)
from dteg.datasets.spec.measures import (
    AggregateMeasure,
    FormulaMeasure,
    Function,
    Group,
    GroupColumn,
    Measure,
)
from dteg.datasets.spec.sources import (
    DatasetSource,
    DictionarySource,
    Expect,
    Join,
    JoinType,
    TableRef,
    TableSource,
)
from dteg.datasets.spec.upkeep import Cache, Check, FreshCheck, Keep, Snapshot
from dteg.datasets.spec.values import Grain

__all__ = [
    "MAX_COLUMNS",
    "MAX_CONDITIONS",
    "MAX_SOURCES",
    "MAX_VALUES",
    "AggregateMeasure",
    "AllOf",
    "AnyOf",
    "Cache",
    "Check",
    "Column",
    "ColumnValue",
    "Condition",
    "DatasetSource",
    "DatasetSpec",
    "DictionarySource",
    "Expect",
    "Filter",
    "FilterValue",
    "FormulaColumn",
    "FormulaMeasure",
    "FreshCheck",
    "FromColumn",
    "Function",
    "Grain",
    "Group",
    "GroupColumn",
    "Join",
    "JoinType",
    "Keep",
    "Lookup",
    "LookupColumn",
    "Measure",
    "NotOf",
    "Operator",
    "Order",
    "Relative",
    "Snapshot",
    "TableRef",
    "TableSource",
    "conditions",
    "dump_spec",
    "load_spec",
    "parse_spec",
    "placed",
    "spec_of",
]
