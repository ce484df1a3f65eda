"""What people write about tables: `metadata/tables.yaml` and `metadata/examples.yaml` of the project."""

import os
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field

from dteg.core.config import ConfigModel
from dteg.core.errors import ConfigError
from dteg.core.places import write_whole
from dteg.core.project import Project
from dteg.core.yaml import read, validate

FOLDER = "metadata"
EXAMPLES = "examples.yaml"
TABLES = "tables.yaml"
_MAX_EXAMPLES = 5_000
FileT = TypeVar("FileT", bound=ConfigModel)


class ColumnNote(ConfigModel):
    """What people say of a column."""

    description: str = Field("", description="What it means.")
    synonyms: list[str] = Field([], description="Other words for it, as in questions.")
    unit: str | None = Field(None, description="Unit of its numbers, such as EUR or km.")
    personal: bool | None = Field(
        None,
        description="Whether it is about people: then no value of it is published. False overrules a guess.",
    )


class TableNote(ConfigModel):
    """What people say of a table."""

    table: str = Field(description="`schema.table`.")
    source: str = Field("warehouse", description="Name of the source.")
    description: str = Field("", description="What a row of it is.")
    owner: str | None = Field(None, description="Who answers questions about it.")
    tier: str | None = Field(None, description="How far it can be trusted, such as gold.")
    tags: list[str] = Field([], description="Labels.")
    hidden: bool = Field(False, description="Leave it out of the cache.")
    columns: dict[str, ColumnNote] = Field({}, description="By name.")


class ExampleNote(ConfigModel):
    """A question and the SQL that answers it."""

    question: str = Field(min_length=3, max_length=1_000, description="As people ask it.")
    sql: str = Field(min_length=6, max_length=20_000, description="One SELECT.")
    source: str = Field("warehouse", description="Name of the source.")
    origin: Literal["human", "llm"] = Field(
        "human", description="Who wrote it: `llm` for what a model proposed (`dteg metadata suggest`)."
    )


class TablesFile(ConfigModel):
    """The whole `tables.yaml`."""

    tables: list[TableNote] = Field([], description="Tables in any order.")


class ExamplesFile(ConfigModel):
    """The whole `examples.yaml`."""

    examples: list[ExampleNote] = Field([], max_length=_MAX_EXAMPLES, description="Examples in any order.")
    query_log: bool = Field(True, description="Take examples from the query logs of databases too.")
    left_out: list[str] = Field(
        [], max_length=_MAX_EXAMPLES, description="Ids of examples of query logs that nobody wants."
    )


def table_notes(project: Project, source: str) -> dict[str, TableNote]:
    """Return what people say of the tables of a source.

    Raises:
        ConfigError: The file is wrong; with the line.
    """
    notes = _read(project, TABLES, TablesFile).tables
    return {note.table: note for note in notes if note.source == source}


def examples_file(project: Project) -> ExamplesFile:
    """Return the whole `examples.yaml`; an empty one without the file.

    Raises:
        ConfigError: The file is wrong; with the line.
    """
    return _read(project, EXAMPLES, ExamplesFile)


def example_notes(project: Project, source: str) -> list[ExampleNote]:
    """Return the examples of people for a source. Raises as `examples_file`."""
    return [note for note in examples_file(project).examples if note.source == source]


def _read(project: Project, name: str, form: type[FileT]) -> FileT:
    path = project.root / FOLDER / name
    return validate(read(path, _shown(project, path)), form) if path.is_file() else form.model_validate({})


def append_example(project: Project, note: ExampleNote) -> Path:
    """Add an example to the file; what people wrote there stays as it is.

    Returns:
        The file.

    Raises:
        ConfigError: The file is wrong, or would be.
    """
    path = project.root / FOLDER / EXAMPLES
    example_notes(project, note.source)
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    lines = [f"  - question: {_quoted(note.question)}", "    sql: |-"]
    lines += [f"      {line}".rstrip() for line in note.sql.strip().splitlines()]
    if note.source != "warehouse":
        lines.append(f"    source: {_quoted(note.source)}")
    if note.origin != "human":
        lines.append(f"    origin: {note.origin}")
    head = before.rstrip() or "examples:"
    if head.endswith("examples: []"):
        head = head.removesuffix(" []")
    write_whole(path, ("\n".join([head, *lines]) + "\n").encode())
    try:
        if note.question not in [each.question for each in example_notes(project, note.source)]:
            raise ConfigError(f"{_shown(project, path)}: the examples must be the last key of the file")
    except ConfigError:
        if before:
            write_whole(path, before.encode())
        else:
            path.unlink()
        raise
    return path


def _quoted(text: str) -> str:
    return "'" + " ".join(text.split()).replace("'", "''") + "'"


def _shown(project: Project, path: Path) -> str:
    return os.path.relpath(path, project.root)
