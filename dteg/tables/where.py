"""Conditions on rows: a small language of its own, so that no text of a user ever becomes SQL.

    condition   = and-part { OR and-part }
    and-part    = not-part { AND not-part }
    not-part    = NOT not-part | ( condition ) | comparison
    comparison  = column ( = | == | != | <> | < | <= | > | >= ) ( value | column )
                | column [NOT] IN ( value { , value } )
                | column [NOT] LIKE text | column [NOT] ILIKE text
                | column [NOT] BETWEEN value AND value
                | column IS [NOT] NULL
    column      = a name, or "any name in double quotes"
    value       = 'text' | number | true | false

Words are the same in small and capital letters, names are not. A quote inside a text is written twice.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from psycopg import sql

from dteg.core.errors import ConfigError
from dteg.core.lexing import Token, TokenReader, split
from dteg.core.suggest import did_you_mean
from dteg.tables.models import NUMBER_TYPES

MAX_DEPTH = 50
MAX_PARTS = 2_000
MAX_DIGITS = 1_000
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>'(?:[^']|'')*')|(?P<name>"(?:[^"]|"")+")|(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)
    |(?P<word>[^\W\d]\w*)|(?P<sign><=|>=|<>|!=|==|[=<>(),]))""",
    re.VERBOSE,
)
_SIGNS = {"=": "=", "==": "=", "!=": "<>", "<>": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}
_WORDS = frozenset(["and", "or", "not", "in", "like", "ilike", "is", "null", "between", "true", "false"])
_PATTERNS = {"like": "LIKE", "ilike": "ILIKE"}


@dataclass(frozen=True)
class Condition:
    """A condition as SQL with places for its values.

    Attributes:
        sql: The expression, with `%s` for each value.
        values: The values, to be bound.
        literals: Each value as written, with its place, for messages.
    """

    sql: sql.Composable
    values: Sequence[Any]
    literals: Sequence[tuple[str, int]]

    def explain(self, message: str) -> str:
        """Add to a database's message about a value where that value stands."""
        for text, at in self.literals:
            if f'"{text}"' in message:
                return f"{message} (at character {at} of the condition)"
        return message


def parse_where(text: str, types: Mapping[str, str], table: str) -> Condition:
    """Read a condition.

    Args:
        text: The condition.
        types: SQL type by column of the table.
        table: Its name, for messages.

    Raises:
        ConfigError: Not a condition; says at which character, with the near miss of a name.
    """
    return _Parser(text, types, table).parse()


class _Parser(TokenReader):
    def __init__(self, text: str, types: Mapping[str, str], table: str) -> None:
        self._text, self._types, self._table = text, types, table
        super().__init__(split(text, _TOKEN, MAX_DIGITS, self._wrong))
        if len(self._tokens) > MAX_PARTS + 1:
            raise self._wrong(f"more than {MAX_PARTS:,} words and signs", self._tokens[MAX_PARTS])
        if len(self._tokens) == 1:
            raise self._wrong("there is no condition", Token("end", "", 1))
        self._values: list[Any] = []
        self._literals: list[tuple[str, int]] = []

    def parse(self) -> Condition:
        found = self._or(0)
        if (rest := self._peek()).kind != "end":
            raise self._wrong(f"unexpected {rest.text!r}; join conditions with and / or", rest)
        return Condition(found, self._values, self._literals)

    def _or(self, depth: int) -> sql.Composable:
        if depth > MAX_DEPTH:
            raise self._wrong(f"more than {MAX_DEPTH} brackets in one another", self._peek())
        parts = [self._and(depth)]
        while self._takes_word("or"):
            parts.append(self._and(depth))
        return parts[0] if len(parts) == 1 else sql.SQL("({})").format(sql.SQL(" OR ").join(parts))

    def _and(self, depth: int) -> sql.Composable:
        parts = [self._not(depth)]
        while self._takes_word("and"):
            parts.append(self._not(depth))
        return parts[0] if len(parts) == 1 else sql.SQL("({})").format(sql.SQL(" AND ").join(parts))

    def _not(self, depth: int) -> sql.Composable:
        negations = 0
        while self._takes_word("not"):
            negations += 1
        if self._takes_sign("("):
            inner = self._or(depth + 1)
            self._expect(")")
        else:
            inner = self._comparison()
        return sql.SQL("(NOT {})").format(inner) if negations % 2 else inner

    def _comparison(self) -> sql.Composable:
        name = self._column(self._take())
        column = sql.Identifier(name)
        token = self._take()
        if token.kind == "sign" and token.text in _SIGNS:
            return sql.SQL("({} {} {})").format(column, sql.SQL(_SIGNS[token.text]), self._operand(name))
        if token.is_word("is"):
            no = "NOT " if self._takes_word("not") else ""
            if not self._takes_word("null"):
                raise self._wrong("after is comes null or not null", self._peek())
            return sql.SQL(f"({{}} IS {no}NULL)").format(column)
        return self._membership(name, token)

    def _membership(self, name: str, token: Token) -> sql.Composable:
        """Read what follows a column and may be negated: in, between, like."""
        column, no = sql.Identifier(name), ""
        if token.is_word("not"):
            no, token = "NOT ", self._take()
        if token.is_word("in"):
            return sql.SQL(f"({{}} {no}IN ({{}}))").format(column, sql.SQL(", ").join(self._list(name)))
        if token.is_word("between"):
            low = self._value(self._take(), name)
            if not self._takes_word("and"):
                raise self._wrong("between takes two values with and between them", self._peek())
            return sql.SQL(f"({{}} {no}BETWEEN {{}} AND {{}})").format(
                column, low, self._value(self._take(), name)
            )
        if token.is_word(*_PATTERNS):
            pattern = self._take()
            if pattern.kind != "text":
                raise self._wrong("after like comes a text in single quotes", pattern)
            word = _PATTERNS[token.text.lower()]
            return sql.SQL(f"({{}}::text {no}{word} {{}})").format(
                column, self._bound(pattern.unquoted, pattern)
            )
        raise self._wrong(
            f"after {name} comes =, !=, <, <=, >, >=, in, like, ilike, between or is" + _found(token), token
        )

    def _list(self, column: str) -> list[sql.Composable]:
        self._expect("(")
        items = [self._value(self._take(), column)]
        while self._takes_sign(","):
            items.append(self._value(self._take(), column))
        self._expect(")")
        return items

    def _operand(self, column: str) -> sql.Composable:
        token = self._take()
        is_column = token.kind == "name" or (token.kind == "word" and token.text.lower() not in _WORDS)
        if not is_column:
            return self._value(token, column)
        if token.kind == "word" and token.text not in self._types:
            raise self._wrong(
                f"there is no column {token.text!r}; a text stands in single quotes: '{token.text}'", token
            )
        return sql.Identifier(self._column(token))

    def _column(self, token: Token) -> str:
        if token.kind not in ("name", "word") or (token.kind == "word" and token.text.lower() in _WORDS):
            raise self._wrong("here comes the name of a column" + _found(token), token)
        name = token.unquoted
        if name not in self._types:
            near = did_you_mean(name, self._types) or f"there are: {', '.join(self._types)}"
            raise self._wrong(f"{self._table} has no column {name!r}; {near}", token)
        return name

    def _value(self, token: Token, column: str) -> sql.Composable:
        """Bind a value; a number stays one only beside a column of numbers."""
        if token.kind == "text":
            return self._bound(token.unquoted, token)
        if token.kind == "number":
            is_number = self._types[column].split("(")[0] in NUMBER_TYPES
            return self._bound(_number(token.text) if is_number else token.text, token)
        if token.is_word("true", "false"):
            return self._bound(token.text.lower() == "true", token)
        if token.is_word("null"):
            raise self._wrong("a comparison with null is never true; write: is null", token)
        raise self._wrong("here comes a value: 'text', a number, true or false" + _found(token), token)

    def _bound(self, value: Any, token: Token) -> sql.Composable:
        self._values.append(value)
        self._literals.append((str(value), token.at))
        return sql.Placeholder()

    def _expect(self, sign: str) -> None:
        token = self._take()
        if token.kind != "sign" or token.text != sign:
            raise self._wrong(f"here comes {sign}" + _found(token), token)

    def _wrong(self, message: str, token: Token) -> ConfigError:
        return ConfigError(f"where: {message} (at character {token.at} of {_shortened(self._text)!r})")


def _found(token: Token) -> str:
    return ", but it ends" if token.kind == "end" else f", not {token.text!r}"


def _number(text: str) -> int | Decimal:
    return int(text) if re.fullmatch(r"[-+]?\d+", text) else Decimal(text)


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:197]}..."
