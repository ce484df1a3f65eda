"""Definitions read from YAML or JSON, and written as plain values."""

from pathlib import Path
from typing import Any

from dteg.core.errors import ConfigError, Problem
from dteg.core.yaml import Document, parse, read, validate
from dteg.datasets.spec.definition import DatasetSpec


def load_spec(path: Path, name: str | None = None) -> DatasetSpec:
    """Read and check the file of a dataset; `name` is how messages call it.

    Raises:
        ConfigError: With file and line of each problem.
    """
    return spec_of(read(path, name))


def parse_spec(text: str, file: str = "") -> DatasetSpec:
    """Read and check the YAML text of a dataset.

    Raises:
        ConfigError: With the line of each problem.
    """
    return spec_of(parse(text, file))


def spec_of(value: Document | dict[str, Any]) -> DatasetSpec:
    """Check a parsed document, or plain JSON values, as a dataset.

    Raises:
        ConfigError: One problem for each thing that is wrong, with its path.
    """
    document = value if isinstance(value, Document) else Document(value, "", {})
    return validate(document, DatasetSpec)


def dump_spec(spec: DatasetSpec) -> dict[str, Any]:
    """Return the plain JSON values of a dataset: what was written, in the order of the format, without defaults."""
    values: dict[str, Any] = spec.model_dump(mode="json", by_alias=True, exclude_unset=True)
    return values


def placed(error: ConfigError, document: Document) -> ConfigError:
    """Give the problems of an error their lines in a document."""
    return ConfigError([_placed(problem, document) for problem in error.problems])


def _placed(problem: Problem, document: Document) -> Problem:
    path: list[str | int] = []
    for part in problem.path.replace("[", ".[").split("."):
        if part.startswith("["):
            path.append(int(part[1:-1]))
        elif part:
            path.append(part)
    return document.problem(tuple(path), problem.message)
