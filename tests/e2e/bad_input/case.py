"""One broken input, what has to be said about it, and what may be in the database afterwards."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

Kind = Literal["pipeline file", "csv", "json", "parquet"]
Content = bytes | str | Callable[[], bytes]
Row = tuple[Any, ...]

PIPELINE = "pipelines/bad.yaml"
TARGET = "raw.target"

# What the target holds before each case: columns id, name and amount, merged by id.
SEED_CSV = "id,name,amount\n1,one,1.5\n2,two,2.5\n3,three,3.5\n"
SEEDED: tuple[Row, ...] = ((1, "one", 1.5), (2, "two", 2.5), (3, "three", 3.5))


@dataclass(frozen=True)
class Case:
    """One broken input.

    Attributes:
        name: Unique, for the test's id.
        kind: What is broken.
        what: The fault in a few words, for the reference page.
        files: Content by path in the project; a path that ends in `/` is a folder.
        code: Exit code of `dteg run`.
        at: Place that the message names, such as `pipelines/bad.yaml:4` or `data.csv (row 2)`.
        says: Regular expressions that the message contains.
        hides: Text that must not be shown.
        loaded: All rows of the target afterwards, if the outcome is a load and not a refusal.
        set_aside: Position and reason (a regular expression) of each dead letter.
        arguments: More arguments of `dteg run`.
    """

    name: str
    kind: Kind
    what: str
    files: Mapping[str, Content]
    code: int = 2
    at: str = ""
    says: tuple[str, ...] = ()
    hides: str = ""
    loaded: tuple[Row, ...] | None = None
    set_aside: tuple[tuple[str, str], ...] = ()
    arguments: tuple[str, ...] = ()

    def make(self, project: Path) -> Path:
        """Write the files into a project folder and return the pipeline's path."""
        for name, content in self.files.items():
            path = project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith("/"):
                path.mkdir(exist_ok=True)
            elif isinstance(content, str):
                path.write_bytes(content.encode())
            else:
                path.write_bytes(content if isinstance(content, bytes) else content())
        return project / PIPELINE


GOOD_PIPELINE = """\
pipeline:
  name: bad
  schedule: "0 6 * * *"
  timezone: UTC
  steps:
    - extract:
        type: files
        config:
          path: data.csv
          stream: data
    - load:
        type: postgres
        config: {table: raw.target}
        write: merge
        primary_key: [id]
"""


def changed(old: str, new: str) -> str:
    """Return the good pipeline with one text replaced."""
    assert GOOD_PIPELINE.count(old) == 1, old
    return GOOD_PIPELINE.replace(old, new)


def added(text: str) -> str:
    """Return the good pipeline with lines added under `pipeline:`, before the steps (line 5 and on)."""
    return changed("  steps:\n", f"{text}\n  steps:\n")


def pipeline_case(
    name: str,
    what: str,
    content: Content,
    line: int | None = None,
    *says: str,
    data: str = SEED_CSV,
    **other: Any,
) -> Case:
    """Return a case whose pipeline file is broken; `line` is the line that the message names."""
    files = {PIPELINE: content, "data.csv": data, **other.pop("files", {})}
    at = f"{PIPELINE}:{line}" if line else PIPELINE
    return Case(name, "pipeline file", what, files, **{"at": at, "says": says, **other})


def pipeline_for(path: str, config: Mapping[str, Any], load: Mapping[str, Any]) -> str:
    """Return a good pipeline that reads `path` with declared types; a setting of None is left out."""
    types = {"id": "bigint", "name": "text", "amount": "double precision"}
    extract = {"path": path, "stream": "data", "columns": types, **config}
    to = {"type": "postgres", "config": {"table": TARGET}, "write": "merge", "primary_key": ["id"], **load}
    extract, to = ({key: value for key, value in part.items() if value is not None} for part in (extract, to))
    steps = [{"extract": {"type": "files", "config": extract}}, {"load": to}]
    return yaml.safe_dump({"pipeline": {"name": "bad", "steps": steps}}, sort_keys=False)


def data_case(
    kind: Kind, name: str, what: str, data: Content | None, *says: str, file: str, config: Mapping[str, Any] | None = None,
    load: Mapping[str, Any] | None = None, at: str = "", **other: Any,
) -> Case:  # fmt: skip
    """Return a case whose data file is broken, or with `data` None not there; `at` follows its name in the message."""
    files: dict[str, Content] = {PIPELINE: pipeline_for(file, config or {}, load or {})}
    if data is not None:
        files[file] = data
    place = other.pop("place", file + at)
    return Case(name, kind, what, {**files, **other.pop("files", {})}, at=place, says=says, **other)


def matches(case: Case, message: str) -> Sequence[str]:
    """Return what the message of a refusal lacks."""
    wanted = [re.escape(case.at), *case.says]
    return [pattern for pattern in wanted if not re.search(pattern, message, re.MULTILINE)]
