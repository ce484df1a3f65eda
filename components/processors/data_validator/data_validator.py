"""Sets aside rows that break rules about single columns."""

from collections.abc import Iterator
from typing import Literal, Self

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from dteg.connectors.base import Capabilities, ConnectorConfig, Context, Processor
from dteg.connectors.processing import check_columns, set_aside
from dteg.core.batch import Batch, Schema
from dteg.core.config import ConfigModel
from dteg.core.errors import ConfigError, QualityGateError
from dteg.core.types import cast_array, sql_type

Limit = int | float | str


class Rule(ConfigModel):
    """What the values of one column must be; null passes everything but `not_null`."""

    column: str = Field(description="The column.")
    not_null: bool = Field(False, description="There must be a value.")
    pattern: str | None = Field(
        None, description="Regular expression (RE2) found in the text; anchor it with ^ and $."
    )
    min: Limit | None = Field(None, description="Smallest allowed value; dates and times as text.")
    max: Limit | None = Field(None, description="Greatest allowed value; dates and times as text.")
    accepted_values: list[Limit] | None = Field(None, min_length=1, description="All allowed values.")
    max_length: int | None = Field(None, ge=0, description="Most characters of a text.")

    @model_validator(mode="after")
    def _demands_something(self) -> Self:
        if not (self.not_null or self.model_fields_set - {"column", "not_null"}):
            raise ValueError("a rule needs not_null, pattern, min, max, accepted_values or max_length")
        if self.pattern is not None:
            try:
                pc.match_substring_regex(pa.array([""]), self.pattern)
            except pa.ArrowInvalid as error:
                raise ValueError(f"pattern: {error}") from None
        return self


class DataValidatorConfig(ConnectorConfig):
    """The rules."""

    rules: list[Rule] = Field(min_length=1, description="Rules, each about one column; a row must keep all.")
    on_error: Literal["reject", "fail"] = Field(
        "reject", description="What to do with a row that breaks a rule: set it aside, or fail the run."
    )


class DataValidator(Processor[DataValidatorConfig]):
    """Checks whole columns."""

    capabilities = Capabilities()

    def __init__(self, config: DataValidatorConfig, context: Context) -> None:
        """Start to count rows."""
        super().__init__(config, context)
        self._rows_seen = 0

    def output_schema(self, schema: Schema) -> Schema:
        """Return the same schema.

        Raises:
            ConfigError: A column does not exist, or a rule does not fit its type.
        """
        for rule in self.config.rules:
            check_columns("data_validator", [rule.column], schema)
            field = schema.field(rule.column)
            for _ in _broken(rule, field, pa.nulls(0, field.type)):
                pass
        return schema

    def process(self, batch: Batch) -> Batch:
        """Return the rows that keep all rules.

        Raises:
            QualityGateError: A row breaks a rule and `on_error` is `fail`.
        """
        bad: dict[str, pa.BooleanArray] = {}
        for rule in self.config.rules:
            place = batch.schema.get_field_index(rule.column)
            for reason, mask in _broken(rule, batch.schema.field(place), batch.column(place)):
                if pc.any(mask).as_py():
                    bad[f"column {rule.column!r} {reason}"] = pc.fill_null(mask, False)
        start, self._rows_seen = self._rows_seen, self._rows_seen + batch.num_rows
        if not bad:
            return batch
        if self.config.on_error == "fail":
            counts = "; ".join(f"{reason}: {pc.sum(mask).as_py()} row(s)" for reason, mask in bad.items())
            raise QualityGateError(f"data_validator: {counts}", failed=list(bad))
        return batch.filter(set_aside(self.context, batch, bad, "data_validator input", start))


def _broken(rule: Rule, field: pa.Field, column: pa.Array) -> Iterator[tuple[str, pa.BooleanArray]]:
    """Yield for each demand of a rule what is wrong, and a mask that is true where it is."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if rule.not_null:
        yield "is null", pc.is_null(column)
    if rule.pattern is not None:
        matches = pc.match_substring_regex(_text(rule, column, "pattern"), rule.pattern)
        yield f"does not match {rule.pattern}", pc.invert(matches)
    if rule.min is not None:
        yield f"is less than {rule.min}", pc.less(column, _limit(rule.min, field, column.type))
    if rule.max is not None:
        yield f"is greater than {rule.max}", pc.greater(column, _limit(rule.max, field, column.type))
    if rule.accepted_values is not None:
        accepted, bad = cast_array(
            pa.array([str(value) for value in rule.accepted_values]), field.with_type(column.type)
        )
        if pc.any(bad).as_py():
            wrong = rule.accepted_values[pc.index(bad, True).as_py()]
            raise ConfigError(
                f"data_validator: {wrong!r} is not a {sql_type(field)}, the type of column {field.name!r}"
            )
        yield "is not an accepted value", pc.and_(pc.is_valid(column), pc.invert(pc.is_in(column, accepted)))
    if rule.max_length is not None:
        length = pc.utf8_length(_text(rule, column, "max_length"))
        yield f"is longer than {rule.max_length} characters", pc.greater(length, rule.max_length)


def _text(rule: Rule, column: pa.Array, demand: str) -> pa.Array:
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        raise ConfigError(
            f"data_validator: {demand} needs a text, but column {rule.column!r} is {column.type}"
        )
    return column


def _limit(value: Limit, field: pa.Field, type_: pa.DataType) -> pa.Scalar:
    """Return a limit as a value that can be compared with the column."""
    is_number = pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)
    if is_number and not isinstance(value, str):
        return pa.scalar(value)
    text, bad = cast_array(pa.array([str(value)]), pa.field(field.name, type_))
    if bad[0].as_py() or (pa.types.is_string(type_) and not isinstance(value, str)):
        raise ConfigError(
            f"data_validator: {value!r} is not a {sql_type(field)}, the type of column {field.name!r}"
        )
    return text[0]
