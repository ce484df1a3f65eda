"""Examples from the query log: what people ask a database all the time, without the values that they asked for.

Logs hold statements whose constants are masked. Each is filled in again with values that the cache publishes anyway, or
it is left out: what is compared with a column about people has no value that could be filled in.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from dteg.metadata.collectors import Logged
from dteg.metadata.examples import new_example
from dteg.metadata.gate import Dialect, called, fold_columns
from dteg.metadata.models import ColumnEntry, Example, TableEntry
from dteg.metadata.wording import question_of

# So many are kept, and so many new ones are tried in a collection.
MOST = 30
LEAST_CALLS = 2
# Names that dteg's own statements use; whoever reads the log knows them by it.
OWN = "dteg_"
_MASK = "dteg?"
_IN_TEXT: Mapping[str, tuple[tuple[re.Pattern[str], str], ...]] = {
    "postgres": (
        (re.compile(r"\bdate_trunc\s*\(\s*\$\d+", re.IGNORECASE), "date_trunc('month'"),
        (re.compile(r"\bextract\s*\(\s*\$\d+\s+from", re.IGNORECASE), "extract(year from"),
        (re.compile(r"\binterval\s+\$\d+", re.IGNORECASE), "interval '30 days'"),
        (re.compile(r"\$\d+"), f"'{_MASK}'"),
    ),
    "mysql": (
        (re.compile(r"\(\s*\.\.\.\s*\)"), "(?)"),
        (re.compile(r",\s*\.\.\."), ""),
        (re.compile(r"\bINTERVAL\s+\?\s+(?=[A-Z])", re.IGNORECASE), "INTERVAL 30 "),
        (re.compile(r"\?"), f"'{_MASK}'"),
    ),
}
_NUMBERS = ("int", "bigint", "smallint", "tinyint", "mediumint", "num", "decimal", "double", "real", "float")
_LEAST, _MOST = (exp.GT, exp.GTE), (exp.LT, exp.LTE)
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE)
# Around a column or a value these change how it is written, not which it is.
_WRAPPERS = (exp.Paren, exp.Cast, exp.Lower, exp.Upper, exp.Date, exp.TsOrDsToDate, exp.TsOrDsToTimestamp)


def readable(text: str, dialect: str) -> str:
    """Return a statement of a log as SQL: each masked constant is a text that stands for it."""
    for form, instead in _IN_TEXT.get(dialect, ()):
        text = form.sub(instead, text)
    return text


def log_examples(
    log: Iterable[Logged], entries: Sequence[TableEntry], dialect: Dialect, known: Iterable[Example], most: int = MOST
) -> list[Example]:  # fmt: skip
    """Return examples that are not yet proved, those that ran most often first.

    Args:
        log: Statements.
        entries: Tables that they may read.
        dialect: Of the database.
        known: Examples that there are; none of the same form is made.
        most: How many.
    """
    forms = {each.sql_skeleton for each in known}
    found: list[Example] = []
    for logged in log:
        if len(found) >= most:
            break
        if logged.calls < LEAST_CALLS:
            continue
        try:
            made = _example(logged.sql, entries, dialect)
        except (SqlglotError, RecursionError):  # whatever it is, it teaches nothing
            continue
        if made is not None and made.sql_skeleton not in forms:
            forms.add(made.sql_skeleton)
            found.append(made)
    return found


def _example(text: str, entries: Sequence[TableEntry], dialect: Dialect) -> Example | None:
    query = _query(text, dialect)
    if query is None or not _Filling(query, entries, dialect).fill():
        return None
    return new_example(question_of(query, dialect), query.sql(dialect=dialect), dialect, "querylog")


def _query(text: str, dialect: Dialect) -> exp.Expr | None:
    """Return a statement that could teach something; None for any other one, dteg's own included."""
    statements = sqlglot.parse(readable(text, dialect), dialect=dialect)
    if len(statements) != 1 or not isinstance(query := statements[0], exp.Select | exp.SetOperation):
        return None
    if any(each.name.startswith(OWN) for each in query.find_all(exp.Identifier)):
        return None
    if query.find(
        exp.RawString, exp.ByteString, exp.UnicodeString, exp.National, exp.HexString, exp.BitString
    ):
        return None  # a constant too, but none that is filled in again
    # Rows as they are, of one table: there is nothing to learn from it.
    return query if query.find(exp.Where, exp.Group, exp.Join, exp.AggFunc) else None


class _Filling:
    """Puts values in the place of constants.

    Args:
        query: Is changed.
        entries: Tables that it may read.
        dialect: Of the database.
    """

    def __init__(self, query: exp.Expr, entries: Sequence[TableEntry], dialect: Dialect) -> None:
        self._query = query
        ctes = {each.alias for each in query.find_all(exp.CTE)}
        self._tables: dict[str, TableEntry] = {}
        self._unknown = False
        for table in query.find_all(exp.Table):
            if not table.db and table.name in ctes:
                continue
            same = called(entries, table.name, table.db)
            if len(same) != 1:
                self._unknown = True
                continue
            self._tables[table.alias_or_name] = same[0]
        if dialect == "mysql":  # logs write names that are words of SQL in capitals
            fold_columns(query, self._tables.values())

    def fill(self) -> bool:
        """Replace all constants; False if one has no value that may be shown, or a table is not in the cache."""
        if self._unknown or not self._tables:
            return False
        for literal in list(self._query.find_all(exp.Literal)):
            if _is_place(literal):
                continue
            value = self._value(literal)
            if value is None:
                return False
            literal.replace(value)
        return all(
            _MASK not in each.name for each in self._query.find_all(exp.Literal, exp.Var, exp.Identifier)
        )

    def _value(self, literal: exp.Literal) -> exp.Expr | None:
        at: exp.Expr = literal
        while isinstance(at.parent, _WRAPPERS):
            at = at.parent
        parent = at.parent
        if isinstance(parent, exp.Limit | exp.Fetch):
            return exp.Literal.number(10)
        if isinstance(parent, exp.Offset | exp.Nullif):
            return exp.Literal.number(0)
        if isinstance(parent, exp.Interval):  # written by `readable`
            return literal if _MASK not in literal.name else None
        if isinstance(parent, exp.Round):
            return exp.Literal.number(2)
        if isinstance(parent, exp.If | exp.Case) and isinstance(parent.find_ancestor(exp.AggFunc), exp.Sum):
            return exp.Literal.number(1 if at.arg_key == "true" else 0)
        if isinstance(parent, exp.Count):
            return exp.Literal.number(1)
        return self._compared(at, parent)

    def _compared(self, at: exp.Expr, parent: exp.Expr | None) -> exp.Expr | None:
        """Return a value of the column that a constant is compared with."""
        if isinstance(parent, exp.In):
            return self._of_column(parent.this, at.index or 0)
        if isinstance(parent, exp.Between):
            return self._of_column(parent.this, 0, "min" if at.arg_key == "low" else "max")
        if isinstance(parent, exp.Coalesce):
            column = self._column(parent.this)
            return exp.Literal.number(0) if column and _is_number(column) else None
        if not isinstance(parent, _COMPARISONS):
            return None
        left = parent.left is not at
        other = parent.left if left else parent.right
        if other.find(exp.AggFunc) and not isinstance(parent, exp.EQ):
            return exp.Literal.number(0)
        if isinstance(parent, exp.EQ | exp.NEQ):
            return self._of_column(other, 0)
        return self._of_column(other, 0, "min" if isinstance(parent, _LEAST) is left else "max")

    def _of_column(self, node: exp.Expr, number: int, end: str = "") -> exp.Expr | None:
        column = self._column(node)
        if column is None or column.pii:
            return None
        values = [each.value for each in column.top_values] or column.samples
        text = getattr(column, end) if end else None
        if text is None:
            text = values[number % len(values)] if values else column.min
        if text is None:
            return None
        return exp.Literal.number(text) if _is_number(column) else exp.Literal.string(text)

    def _column(self, node: exp.Expr) -> ColumnEntry | None:
        while isinstance(node, _WRAPPERS):
            node = node.this
        if not isinstance(node, exp.Column):
            return None
        tables = [self._tables[node.table]] if node.table in self._tables else []
        if not node.table:
            tables = list({each.table_id: each for each in self._tables.values()}.values())
        names = [each.column(node.name) for each in tables]
        found = [each for each in names if each is not None]
        return found[0] if len(found) == 1 else None


def _is_place(literal: exp.Literal) -> bool:
    """Whether it is the place of a column, as in `ORDER BY 2`, which logs do not mask."""
    return literal.is_int and isinstance(literal.parent, exp.Ordered | exp.Group)


def _is_number(column: ColumnEntry) -> bool:
    return column.type.lower().startswith(_NUMBERS) and not column.type.lower().startswith("interval")
