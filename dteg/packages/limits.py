"""How large a package may be, and what may lie in it."""

MAX_PACKED_BYTES = 10_000_000
"""Size of a wheel file."""

MAX_UNPACKED_BYTES = 50_000_000
"""Size of all its files together, counted while they are unpacked."""

MAX_RATIO = 100
"""Unpacked bytes for each packed byte, of the whole wheel and of each file above `RATIO_MATTERS_BYTES`."""

RATIO_MATTERS_BYTES = 1_000_000
"""Below this a file may be packed as tightly as it likes: a page of blanks is no bomb."""

MAX_ENTRIES = 2_000
"""Files in a wheel."""

MAX_NAME_CHARACTERS = 200
"""Length of a path in a wheel; Windows stops at 260 with the folder of the environment before it."""

MAX_NAME_DEPTH = 12
"""Parts of a path in a wheel."""

MAX_SCHEMA_BYTES = 500_000
"""Size of `dteg.schema.json`."""

DATA_SUFFIXES = frozenset(
    [
        ".avsc", ".cfg", ".csv", ".css", ".graphql", ".html", ".ini", ".j2", ".jinja", ".jpg", ".json", ".jsonl",
        ".md", ".ndjson", ".parquet", ".png", ".proto", ".rst", ".sql", ".svg", ".toml", ".tsv", ".txt", ".typed",
        ".xml", ".xsd", ".yaml", ".yml",
    ]
)  # fmt: skip
"""What a component may bring beside code."""

CODE_SUFFIXES = frozenset([".py", ".pyi"])

NATIVE_SUFFIXES = frozenset([".so", ".pyd", ".dylib", ".dll"])
"""Only with the capability `native`."""

PLAIN_NAMES = frozenset(["LICENSE", "LICENCE", "NOTICE", "COPYING", "AUTHORS"])
"""Files that may go without a suffix."""
