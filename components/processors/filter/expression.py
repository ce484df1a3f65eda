"""A small, safe language for conditions: parsed by Python's `ast`, checked against a list, run by Arrow.

Nothing is ever evaluated by Python. NULL follows SQL: a comparison with it is unknown, and so are
`unknown and true` and `not unknown`.
"""

import ast
from collections.abc import Callable
from functools import reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from dteg.core.batch import Batch
from dteg.core.errors import ConfigError
from dteg.core.suggest import did_you_mean
from dteg.core.types import cast_array

MAX_LENGTH = 2000
MAX_DEPTH = 100  # far from the limit of recursion, even in a deep stack

Value = Any  # a pa.Array with a value for each row, or a pa.Scalar
_COMPARISONS: dict[type[ast.cmpop], Callable[[Value, Value], Value]] = {
    ast.Eq: pc.equal,
    ast.NotEq: pc.not_equal,
    ast.Lt: pc.less,
    ast.LtE: pc.less_equal,
    ast.Gt: pc.greater,
    ast.GtE: pc.greater_equal,
}
_FUNCTIONS: dict[str, tuple[int, Callable[..., Value]]] = {
    "lower": (1, pc.utf8_lower),
    "upper": (1, pc.utf8_upper),
    "length": (1, pc.utf8_length),
    "is_null": (1, pc.is_null),
    "starts_with": (2, lambda text, start: pc.starts_with(text, start.as_py())),
}


def _divide(left: Value, right: Value) -> Value:
    """Divide as numbers with fractions; by zero is NULL."""
    right = right.cast(pa.float64())
    return pc.divide(
        left.cast(pa.float64()), pc.if_else(pc.equal(right, 0.0), pa.scalar(None, pa.float64()), right)
    )


_ARITHMETIC: dict[type[ast.operator], Callable[[Value, Value], Value]] = {
    ast.Add: pc.add_checked,
    ast.Sub: pc.subtract_checked,
    ast.Mult: pc.multiply_checked,
    ast.Div: _divide,
}


class Expression:
    """One condition, checked for form; columns and types are checked when it meets a batch."""

    def __init__(self, text: str) -> None:
        """Parse.

        Raises:
            ConfigError: Not a condition of this language; says at which character.
        """
        self.text = " ".join(text.split("\n")).strip()
        if len(self.text) > MAX_LENGTH:
            raise ConfigError(f"the expression is longer than {MAX_LENGTH} characters")
        try:
            self._tree = ast.parse(self.text, mode="eval").body
            self._check(self._tree, MAX_DEPTH)
        except SyntaxError as error:
            hint = "; write == for equal, != for unequal, and / or / not in lower case"
            raise ConfigError(
                f"{error.msg} at character {error.offset or 1} of {self.text!r}{hint}"
            ) from None
        except (ValueError, RecursionError, MemoryError):
            raise ConfigError("the expression contains a NUL character or is nested too deeply") from None

    def mask(self, batch: Batch) -> pa.BooleanArray:
        """Return for each row true, false or null.

        Raises:
            ConfigError: A column does not exist or types do not fit.
            pyarrow.ArrowInvalid: A number got too large.
        """
        value = self._value(self._tree, batch)
        if not pa.types.is_boolean(value.type):
            raise self._error(self._tree, "this is not a condition: compare it with something")
        return pa.repeat(value, batch.num_rows) if isinstance(value, pa.Scalar) else value

    def _error(self, node: ast.expr, message: str) -> ConfigError:
        place = len(self.text.encode()[: node.col_offset].decode()) + 1
        return ConfigError(f"{message} (at character {place} of {self.text!r})")

    def _check(self, node: ast.expr, depth: int) -> None:
        """Refuse what the language does not have, before any data is there."""
        if depth == 0:
            raise self._error(node, "nested too deeply")
        self._check_form(node)
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr) and not (isinstance(node, ast.Call) and child is node.func):
                self._check(child, depth - 1)

    def _check_form(self, node: ast.expr) -> None:
        allowed = True
        if isinstance(node, ast.Constant):
            allowed = isinstance(node.value, int | float | str | None)
            if isinstance(node.value, int) and abs(node.value) >= 2**63:
                raise self._error(node, "the number is too large; write it with a decimal point")
        elif isinstance(node, ast.BinOp):
            allowed = type(node.op) in _ARITHMETIC
        elif isinstance(node, ast.UnaryOp):
            allowed = isinstance(node.op, ast.Not | ast.USub)
        elif isinstance(node, ast.Compare):
            self._check_comparison(node)
        elif isinstance(node, ast.Call):
            self._check_call(node)
        else:
            allowed = isinstance(node, ast.Name | ast.BoolOp | ast.Tuple | ast.List)
        if not allowed:
            raise self._error(node, f"not allowed here: {ast.unparse(node)[:60]}")

    def _check_call(self, node: ast.Call) -> None:
        name = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
        if name not in _FUNCTIONS:
            near = did_you_mean(name, _FUNCTIONS) or f"there are: {', '.join(_FUNCTIONS)}"
            raise self._error(node, f"unknown function {name[:60]!r}; {near}")
        count = _FUNCTIONS[name][0]
        if node.keywords or len(node.args) != count:
            raise self._error(node, f"{name} takes {count} argument(s)")
        if name == "starts_with" and not _is_text(node.args[1]):
            raise self._error(node, "the second argument of starts_with must be a text in quotes")

    def _check_comparison(self, node: ast.Compare) -> None:
        for operator, right in zip(node.ops, node.comparators, strict=True):
            if isinstance(operator, ast.In | ast.NotIn):
                items = right.elts if isinstance(right, ast.Tuple | ast.List) else []
                if not items or not all(_is_literal(item) for item in items):
                    raise self._error(right, "after in: a list of values in brackets, none of them None")
            elif isinstance(operator, ast.Is | ast.IsNot):
                if not (isinstance(right, ast.Constant) and right.value is None):
                    raise self._error(right, "after is: only None")
            elif isinstance(right, ast.Constant) and right.value is None:
                raise self._error(right, "a comparison with None is never true; write: is None")

    def _value(self, node: ast.expr, batch: Batch) -> Value:
        try:
            return self._compute(node, batch)
        except (pa.ArrowNotImplementedError, pa.ArrowTypeError):
            raise self._error(node, f"these types do not fit together: {ast.unparse(node)[:60]}") from None

    def _compute(self, node: ast.expr, batch: Batch) -> Value:
        match node:
            case ast.Constant():
                return pa.scalar(node.value)
            case ast.Name():
                return self._column(node, batch)
            case ast.BoolOp():
                join = pc.and_kleene if isinstance(node.op, ast.And) else pc.or_kleene
                return reduce(join, [self._value(part, batch) for part in node.values])
            case ast.UnaryOp():
                value = self._value(node.operand, batch)
                return pc.invert(value) if isinstance(node.op, ast.Not) else pc.negate_checked(value)
            case ast.BinOp():
                return _ARITHMETIC[type(node.op)](
                    self._value(node.left, batch), self._value(node.right, batch)
                )
            case ast.Compare():
                return self._comparison(node, batch)
            case ast.Call(func=ast.Name(id=name)):
                return _FUNCTIONS[name][1](*(self._value(part, batch) for part in node.args))
        raise self._error(node, f"not allowed here: {ast.unparse(node)[:60]}")

    def _column(self, node: ast.Name, batch: Batch) -> pa.Array:
        if node.id not in batch.schema.names:
            near = did_you_mean(node.id, batch.schema.names) or f"there are: {', '.join(batch.schema.names)}"
            raise self._error(node, f"no column {node.id!r}; {near}")
        column = batch.column(batch.schema.get_field_index(node.id))
        return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column

    def _comparison(self, node: ast.Compare, batch: Batch) -> Value:
        """Compare neighbours: `1 < x < 5` is `1 < x and x < 5`."""
        parts, left = [], node.left
        for operator, right in zip(node.ops, node.comparators, strict=True):
            parts.append(self._pair(left, operator, right, batch))
            left = right
        return reduce(pc.and_kleene, parts)

    def _pair(self, left: ast.expr, operator: ast.cmpop, right: ast.expr, batch: Batch) -> Value:
        value = self._value(left, batch)
        if isinstance(operator, ast.Is | ast.IsNot):
            return pc.is_null(value) if isinstance(operator, ast.Is) else pc.is_valid(value)
        if isinstance(operator, ast.In | ast.NotIn) and isinstance(right, ast.Tuple | ast.List):
            items = [self._fit(item, self._value(item, batch), value) for item in right.elts]
            found = reduce(pc.or_kleene, [pc.equal(value, item) for item in items])
            return pc.invert(found) if isinstance(operator, ast.NotIn) else found
        other = self._value(right, batch)
        return _COMPARISONS[type(operator)](self._fit(left, value, other), self._fit(right, other, value))

    def _fit(self, node: ast.expr, value: Value, other: Value) -> Value:
        """Read a text in quotes as a date, a time or a number where it is compared with one."""
        if not _is_text(node) or pa.types.is_string(other.type) or pa.types.is_large_string(other.type):
            return value
        cast, bad = cast_array(pa.array([value.as_py()]), pa.field("value", other.type))
        if bad[0].as_py():
            raise self._error(node, f"{value.as_py()!r} is not a value of type {other.type}")
        return cast[0]


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_literal(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant) and node.value is not None
