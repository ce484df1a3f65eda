"""Parts of a query with their types: the only way in which nodes of SQL are put together.

A node never holds text of a user but as a quoted name or a literal. A foreign data wrapper may send a part of a query
to the database of its table, which can calculate in another way: MySQL finds `a` and `A` equal, counts the length of a
text in bytes and divides with four digits. Such a column is wrapped into `GREATEST(column)`, which no wrapper can
send away and which the planner does not simplify, unless the other database is sure to find the same.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from dteg.core.errors import ConfigError
from dteg.datasets.catalogue import CatalogueColumn
from dteg.datasets.compiler.nodes import exp
from dteg.datasets.types import Family, SqlType

Operator = Callable[..., exp.Expression]
"""Makes a node out of `this` and `expression`."""
MAX_SIZE = 2_000
MAX_HEIGHT = 120
_NOT_TEXT_ITSELF = re.compile(r"(character|char|bpchar|name|citext)\b(?! varying).*")
_SENT_AWAY = frozenset([Family.INTEGER, Family.DECIMAL, Family.DATE, Family.TIMESTAMP])

TEXT = SqlType("text", Family.TEXT)
BOOLEAN = SqlType("boolean", Family.BOOLEAN)
INTEGER = SqlType("integer", Family.INTEGER)
BIGINT = SqlType("bigint", Family.INTEGER)
NUMERIC = SqlType("numeric", Family.DECIMAL)
DOUBLE = SqlType("double precision", Family.FLOAT)
DATE = SqlType("date", Family.DATE)
TIMESTAMP = SqlType("timestamp without time zone", Family.TIMESTAMP)
TIMESTAMPTZ = SqlType("timestamp with time zone", Family.TIMESTAMPTZ)
NULL = SqlType("text", Family.NULL)

_NODES = {
    "text": exp.DataType.Type.TEXT,
    "integer": exp.DataType.Type.INT,
    "bigint": exp.DataType.Type.BIGINT,
    "numeric": exp.DataType.Type.DECIMAL,
    "double precision": exp.DataType.Type.DOUBLE,
    "date": exp.DataType.Type.DATE,
    "timestamp without time zone": exp.DataType.Type.TIMESTAMP,
    "timestamp with time zone": exp.DataType.Type.TIMESTAMPTZ,
    "uuid": exp.DataType.Type.UUID,
    "time without time zone": exp.DataType.Type.TIME,
    "interval": exp.DataType.Type.INTERVAL,
}


@dataclass(frozen=True, slots=True)
class TextCompare:
    """How texts are compared.

    Attributes:
        ci: Whether small and capital letters count as the same.
        collation: Collation of the warehouse that knows the letters of all languages; empty for the database's own.
    """

    ci: bool = False
    collation: str = ""


EXACT = TextCompare()


@dataclass(frozen=True, slots=True)
class Term:
    """A part of a query.

    Attributes:
        node: The part itself.
        type: What comes out.
        nullable: Whether that may be null.
        size: About how many nodes it has.
        height: About how deep they are in one another.
        constant: Whether it holds no column, so that the planner may calculate it at once.
        column: The column, if it is one and nothing else.
        literal: The value, if it is one and nothing else.
        aliases: The sources whose columns it holds.
    """

    node: exp.Expression
    type: SqlType
    nullable: bool = True
    size: int = 1
    height: int = 1
    constant: bool = False
    column: CatalogueColumn | None = None
    literal: str | int | Decimal | bool | None = None
    aliases: frozenset[str] = frozenset()

    @property
    def family(self) -> Family:
        """What can be done with it."""
        return self.type.family


def built(
    node: exp.Expression, type_: SqlType, parts: Sequence[Term], *, nullable: bool | None = None
) -> Term:
    """Return a term made of others.

    Raises:
        ConfigError: It grows too large: columns that are made of columns multiply.
    """
    size = 2 + sum(part.size for part in parts)
    if size > MAX_SIZE:
        raise ConfigError(
            f"the formula comes to more than {MAX_SIZE:,} parts, counting those of the columns it uses"
        )
    height = 1 + max((part.height for part in parts), default=0)
    if height > MAX_HEIGHT:
        raise ConfigError(
            f"more than {MAX_HEIGHT} operations are in one another; give parts of it names of their own"
        )
    may_be_null = any(part.nullable for part in parts) if nullable is None else nullable
    aliases = frozenset[str]().union(*(part.aliases for part in parts))
    constant = all(part.constant for part in parts)
    return Term(node, type_, may_be_null, size, height, constant=constant, aliases=aliases)


def column_term(alias: str, column: CatalogueColumn, *, nullable: bool) -> Term:
    """Return a column of a source."""
    node = exp.Column(this=name_node(column.name), table=name_node(alias))
    return Term(node, column.type, nullable, column=column, aliases=frozenset([alias]))


def name_node(name: str) -> exp.Identifier:
    """Return a quoted name."""
    return exp.Identifier(this=name, quoted=True)


def literal_term(value: str | float | Decimal | bool) -> Term:
    """Return a value as a literal."""
    if isinstance(value, bool):
        return Term(exp.Boolean(this=value), BOOLEAN, nullable=False, constant=True, literal=value)
    if isinstance(value, str):
        return Term(exp.Literal.string(value), TEXT, nullable=False, constant=True, literal=value)
    number: int | Decimal = Decimal(repr(value)) if isinstance(value, float) else value
    if isinstance(number, int):
        type_ = INTEGER if abs(number) < 2**31 else BIGINT if abs(number) < 2**63 else NUMERIC
    else:
        type_ = NUMERIC
    digits = str(abs(number)) if isinstance(number, int) else format(abs(number), "f")
    node: exp.Expression = exp.Literal.number(digits)
    if number < 0:
        node = exp.Paren(this=exp.Neg(this=node))
    return Term(node, type_, nullable=False, constant=True, literal=number)


def null_term() -> Term:
    """Return null."""
    return Term(exp.Null(), NULL, constant=True)


def guarded(term: Term) -> exp.Expression:
    """Return the node so that it is calculated here, not by the database of a source that might do it differently."""
    column = term.column
    if column is None or (column.exact and not column.foreign):
        return term.node
    if term.family in (Family.JSON, Family.OTHER):
        known = exp.Not(this=exp.Is(this=term.node, expression=exp.Null()))
        return exp.Case(ifs=[exp.If(this=known, true=term.node)])
    return call("greatest", term.node)


def _compared(term: Term) -> exp.Expression:
    """Return the node for a comparison, which exact types may leave to the other database."""
    if term.family in _SENT_AWAY and term.column is not None and term.column.exact:
        return term.node
    return guarded(term)


def text_node(term: Term) -> exp.Expression:
    """Return a text as `text`: `character(5)` and the like have rules of their own for spaces and case."""
    node = guarded(term)
    if _NOT_TEXT_ITSELF.fullmatch(term.type.sql) or (node is not term.node and term.type.sql != "text"):
        return exp.Cast(this=node, to=exp.DataType(this=exp.DataType.Type.TEXT))
    return node


def key_node(term: Term, mode: TextCompare) -> exp.Expression:
    """Return what has to be equal for two values to be equal."""
    if term.family is not Family.TEXT:
        return _compared(term)
    return folded(term, mode) if mode.ci else text_node(term)


def order_node(term: Term, mode: TextCompare) -> exp.Expression:
    """Return what values are ordered by: texts by their bytes, whatever the order of the database."""
    if term.family is not Family.TEXT:
        return _compared(term)
    return folded(term, mode) if mode.ci else collated(text_node(term))


def folded(term: Term, mode: TextCompare) -> exp.Expression:
    """Return a text in small letters, compared by its bytes."""
    node = text_node(term)
    if mode.collation:
        node = exp.Collate(this=node, expression=name_node(mode.collation))
    return collated(call("lower", node))


def collated(node: exp.Expression) -> exp.Expression:
    """Return a text that is compared by its bytes."""
    return exp.Collate(this=node, expression=exp.Identifier(this="C", quoted=True))


def call(name: str, *arguments: exp.Expression) -> exp.Anonymous:
    """Return a call of a function; `name` is ours, never a user's."""
    return exp.Anonymous(this=name, expressions=list(arguments))


def to_type(node: exp.Expression, type_: SqlType) -> exp.Cast:
    """Return a cast to one of the types above."""
    return exp.Cast(this=node, to=exp.DataType(this=_NODES[type_.sql]))


def interval(text: str) -> exp.Cast:
    """Return a span of time, such as `3 days`; the text is ours, never a user's."""
    return exp.Cast(this=exp.Literal.string(text), to=exp.DataType(this=exp.DataType.Type.INTERVAL))


def boxed(node: exp.Expression) -> exp.Expression:
    """Put brackets around a node: the generator writes none by itself."""
    return exp.Paren(this=node)


def at_utc(node: exp.Expression) -> exp.Expression:
    """Turn a time with zone into UTC without one, or the other way round."""
    return boxed(exp.AtTimeZone(this=boxed(node), zone=exp.Literal.string("UTC")))


def known_text(term: Term) -> bool:
    """Whether it is a text written in the spec or formula."""
    return isinstance(term.literal, str)
