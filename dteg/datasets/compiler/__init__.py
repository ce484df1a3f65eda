"""From the definition of a dataset to one query. This is the door; what is behind it is the compiler's own.

| module | what becomes of |
| --- | --- |
| `compile` | the whole: a definition in, a query out |
| `work` | what all of them share while it goes on; the sources |
| `joining`, `expectations` | `joins`; what has to be counted to know that they match |
| `lookups` | columns that are looked up in dictionaries |
| `filters`, `relative` | `filters` and `having`; times that move with the clock |
| `grouping`, `measuring` | `group_by` and `measures` |
| `outputs`, `sorting` | columns of the result and their names; `order_by` and `limit` |
| `formulas` | texts of formulas, read by a small parser |
| `functions`, `makers` | the functions there are; how each call is put together |
| `arithmetic`, `comparing`, `casting` | signs of formulas and filters; values of another type |
| `scope` | names: what each means here |
| `terms`, `nodes` | values with their types; the optional package that queries are made with |
"""

from dteg.datasets.compiler.compile import compile_dataset
from dteg.datasets.compiler.compiled import Compiled, to_sql
from dteg.datasets.compiler.expectations import Expectation, all_expectations, expectations
from dteg.datasets.compiler.functions import FUNCTIONS
from dteg.datasets.compiler.joining import JoinStep, repeated_by
from dteg.datasets.compiler.measuring import ADDING_UP

__all__ = [
    "ADDING_UP",
    "FUNCTIONS",
    "Compiled",
    "Expectation",
    "JoinStep",
    "all_expectations",
    "compile_dataset",
    "expectations",
    "repeated_by",
    "to_sql",
]
