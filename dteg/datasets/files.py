"""The files of datasets: `datasets/*.yaml` of a project, one for each; and definitions as YAML text."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from dteg.core.errors import ConfigError, Problem
from dteg.core.project import Project
from dteg.core.yaml import yaml_files
from dteg.core.yaml_writing import Dumper, Quoted, write_yaml

if TYPE_CHECKING:
    from dteg.datasets.spec import DatasetSpec

FOLDER = "datasets"
# Plain words that YAML 1.1 and 1.2 both read as text; everything else is written in quotes.
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*( [A-Za-z0-9_./-]+)*")
_NOT_TEXT = frozenset(["true", "false", "null", "yes", "no", "on", "off", "y", "n"])
_WIDTH = 100


def dataset_files(project: Project) -> Sequence[Path]:
    """Return the files of a project's datasets, sorted."""
    return yaml_files(project.root / FOLDER)


def is_in_folder(path: Path, project: Project) -> bool:
    """Whether a file is one of the project's datasets."""
    return path.resolve().parent == (project.root / FOLDER).resolve()


def load_dataset(path: Path, project: Project) -> "DatasetSpec":
    """Read the file of a dataset. Opens no connection.

    Raises:
        ConfigError: With file and line of each problem; also where a project's file is not called like its dataset.
    """
    from dteg.datasets.spec import load_spec

    name = project.display(path)
    spec = load_spec(path, name)
    if is_in_folder(path, project) and path.stem != spec.dataset:
        raise ConfigError(
            [
                Problem(
                    f"the dataset is called {spec.dataset!r}; call the file {spec.dataset}{path.suffix}, so that no two "
                    "files can mean one dataset",
                    path="dataset",
                    file=name,
                )
            ]
        )
    return spec


class _Dumper(Dumper):
    """Writes lists of plain values in one line, so that a join is a line and not four."""


def _write_list(dumper: _Dumper, items: list[Any]) -> yaml.Node:
    flat = all(not isinstance(item, dict) and not _is_nested(item) for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=flat)


def _is_nested(item: Any) -> bool:
    return isinstance(item, list) and any(isinstance(each, list | dict) for each in item)


_Dumper.add_representer(list, _write_list)


def to_yaml(values: Mapping[str, Any]) -> str:
    """Return a definition as YAML; reading that and writing it again gives the same bytes."""
    return write_yaml(_quoted(dict(values)), _Dumper, _WIDTH)


def _quoted(value: Any) -> Any:
    if isinstance(value, dict):
        return {_quoted(key): _quoted(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_quoted(each) for each in value]
    if isinstance(value, str) and (not _PLAIN.fullmatch(value) or value.lower() in _NOT_TEXT):
        return Quoted(value)
    return value
