"""Names of tables and columns, checked before they come near SQL."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from dteg.core.errors import ConfigError

if TYPE_CHECKING:
    from psycopg.sql import Identifier

# PostgreSQL cuts longer names without a word, so two long names could become one.
MAX_IDENTIFIER_BYTES = 63


def check_identifier(name: str, what: str = "name") -> str:
    """Return `name` if PostgreSQL can hold it as it is.

    Raises:
        ConfigError: Empty, longer than 63 bytes, or with a NUL character.
    """
    if not name:
        raise ConfigError(f"empty {what}")
    if "\x00" in name:
        raise ConfigError(f"{what} {name!r} contains a NUL character")
    if len(name.encode()) > MAX_IDENTIFIER_BYTES:
        raise ConfigError(f"{what} {name!r} is longer than {MAX_IDENTIFIER_BYTES} bytes")
    return name


def quote(name: str) -> str:
    """Quote one identifier for SQL, whatever it holds."""
    return '"' + check_identifier(name).replace('"', '""') + '"'


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """A table with its schema."""

    schema: str
    name: str

    @classmethod
    def parse(cls, text: str, default_schema: str = "public") -> Self:
        """Read `table` or `schema.table`.

        Raises:
            ConfigError: Not one or two non-empty parts, or a part is too long.
        """
        parts = text.split(".")
        if len(parts) > 2:
            raise ConfigError(f"table {text!r} has {len(parts)} parts; write schema.table")
        schema, name = parts if len(parts) == 2 else (default_schema, parts[0])
        return cls(check_identifier(schema, "schema name"), check_identifier(name, "table name"))

    def with_suffix(self, suffix: str) -> Self:
        """Return the table beside this one whose name ends with `suffix`; cut to fit, but never that of another one."""
        if len((self.name + suffix).encode()) > MAX_IDENTIFIER_BYTES:
            suffix = f"_{hashlib.sha256(self.name.encode()).hexdigest()[:8]}{suffix}"
        room = MAX_IDENTIFIER_BYTES - len(suffix.encode())
        stem = self.name.encode()[:room].decode(errors="ignore")
        return type(self)(self.schema, stem + suffix)

    @property
    def sql(self) -> str:
        """The quoted `"schema"."table"`."""
        return f"{quote(self.schema)}.{quote(self.name)}"

    @property
    def identifier(self) -> "Identifier":
        """The same as a part of a statement that psycopg puts together."""
        from psycopg.sql import Identifier

        return Identifier(self.schema, self.name)

    def __str__(self) -> str:
        """Render as `schema.table`."""
        return f"{self.schema}.{self.name}"
