"""Files of people, read as texts: CSV, Excel and whatever else the files extractor reads."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from dteg.core.columns import sql_type
from dteg.core.errors import ConfigError, InputError
from dteg.core.project import Project
from dteg.core.sql_types import parse_sql_type
from dteg.dictionaries.models import Dictionary, DictionaryColumn, DictionaryType, RowProblem

if TYPE_CHECKING:
    from dteg.connectors.base import Extractor

MAX_FILE_BYTES = 50_000_000
MAX_FILE_ROWS = 200_000
_TYPES: dict[str, DictionaryType] = {
    "smallint": "integer", "integer": "integer", "bigint": "integer", "real": "numeric", "double precision": "numeric",
    "numeric": "numeric", "boolean": "boolean", "date": "date", "timestamp": "timestamptz", "timestamptz": "timestamptz",
}  # fmt: skip


@dataclass(frozen=True)
class FileRows:
    """A file as it was read.

    Attributes:
        name: Its name.
        header: Its columns as they are written.
        rows: Values by column, as texts.
        problems: Rows that cannot be read at all.
    """

    name: str
    header: list[str]
    rows: list[dict[str, Any]]
    problems: list[RowProblem]


def plain_name(header: str) -> str:
    """Return the name of a column for what stands in a header: `Country Name` is `country_name`; "" if nothing is left."""
    name = re.sub(r"[^a-z0-9]+", "_", header.strip().lower()).strip("_")
    return (f"c_{name}" if name[:1].isdigit() else name)[:63]


def matched(dictionary: Dictionary, header: list[str]) -> dict[str, str]:
    """Return the dictionary's column for each column of a file; one that fits none keeps its name."""
    known = dictionary.types
    return {name: name if name in known else plain_name(name) or name for name in header}


def read_file(project: Project, path: Path, settings: dict[str, Any] | None = None) -> FileRows:
    """Read a file with all values as texts; Excel's dates are ISO, its whole numbers have no point.

    Raises:
        InputError: It cannot be read, or is larger than a dictionary should be.
        ConfigError: Its name does not say its format, or a setting is wrong.
    """
    _check_size(path)
    header = [name for name, _ in _header(project, path, settings or {})]
    extractor = _extractor(project, path, {**(settings or {}), "columns": dict.fromkeys(header, "text")})
    rows: list[dict[str, Any]] = []
    with extractor:
        (stream,) = extractor.streams()
        for batch in extractor.read(stream, None):
            rows += batch.to_pylist()
            if len(rows) > MAX_FILE_ROWS:
                raise InputError(
                    f"more than {MAX_FILE_ROWS:,} rows; make it a table (dteg create) and join that",
                    source=path.name,
                )
        problems = [
            RowProblem(message=f"{each.position}: {each.reason}") for each in extractor.context.dead_letters
        ]
    return FileRows(path.name, header, rows, problems)


def columns_of(project: Project, path: Path) -> dict[str, DictionaryColumn]:
    """Return a column for each one of a file, by its name there, with the type that all its values fit.

    Raises:
        InputError: It cannot be read, or two columns would have the same name.
    """
    _check_size(path)
    found: dict[str, DictionaryColumn] = {}
    for number, (written, type_) in enumerate(_header(project, path, {}), start=1):
        name = plain_name(written) or f"column_{number}"
        if name in {each.name for each in found.values()}:
            raise InputError(
                f"two columns would be called {name!r}; rename one of them in the file", source=path.name
            )
        about = "" if name == written else written[:500]
        column_type = _TYPES.get(parse_sql_type(type_).name, "text")
        found[written] = DictionaryColumn(name=name, type=column_type, description=about)
    return found


def _header(project: Project, path: Path, settings: dict[str, Any]) -> list[tuple[str, str]]:
    with _extractor(project, path, settings) as extractor:
        (stream,) = extractor.streams()
        return [(each.name, sql_type(each)) for each in stream.schema]


def _check_size(path: Path) -> None:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", source=path.name) from None
    if size > MAX_FILE_BYTES:
        raise InputError(
            f"{size / 1e6:,.0f} MB; a dictionary takes files of at most {MAX_FILE_BYTES / 1e6:.0f} MB",
            source=path.name,
        )


def _extractor(project: Project, path: Path, settings: dict[str, Any]) -> "Extractor[Any]":
    from dteg.connectors.base import Context
    from dteg.connectors.discovery import discover, find
    from dteg.tables.delimiters import delimiter_of
    from dteg.tables.loading import project_in

    component = find("extractor", "files", discover(project))
    try:
        config: Any = component.config_model.model_validate({**settings, "path": path.name})
    except ValidationError as error:
        messages = [each["msg"].removeprefix("Value error, ") for each in error.errors()]
        raise ConfigError("; ".join(f"{path.name}: {message}" for message in messages)) from None
    if config.file_format == "csv" and "delimiter" not in settings:
        delimiter = delimiter_of(path, config.encoding)
        config = config.model_copy(update={"delimiter": delimiter}) if delimiter else config
    place = project_in(project, path.parent)
    return cast("Extractor[Any]", component.create(config, Context(place)))
