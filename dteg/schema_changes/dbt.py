"""The models of the project's dbt folder: what they read, what they make, and their SQL.

dbt's manifest knows all of it exactly, but only dbt can write it; while it is older than the files, or not there,
the files are read instead: `source()`, `ref()`, the sources, and the folders' schemas in `dbt_project.yml`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from dteg.core.identifiers import TableName
from dteg.core.project import Project
from dteg.schema_changes.sql_text import names_table

_REF = re.compile(r"\{\{[^}]*?\bref\(\s*(?:['\"][^'\"]+['\"]\s*,\s*)?['\"]([^'\"]+)['\"]")
_SOURCE = re.compile(r"\{\{[^}]*?\bsource\(\s*['\"]([^'\"]+)['\"]\s*,\s*['\"]([^'\"]+)['\"]")
_CONFIG = re.compile(r"\b(schema|alias)\s*=\s*['\"]([^'\"]+)['\"]")
_YAML = (".yml", ".yaml")


@dataclass(frozen=True, slots=True)
class Model:
    """One model.

    Attributes:
        name: Its name.
        file: Its file, relative to the project.
        sql: Its text, with templates.
        relation: What it makes; None if that is not known.
        reads: Tables that it reads as sources.
        refs: Names of the models that it reads.
        columns: Columns that must be there, whatever its SQL says: none but those of contracts are known.
    """

    name: str
    file: str
    sql: str
    relation: TableName | None
    reads: frozenset[TableName]
    refs: frozenset[str]
    columns: tuple[str, ...] = ()


class DbtModels:
    """All models of a project.

    Args:
        models: Each of them.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        self._models = models
        self._by_name = {model.name: model for model in models}

    @classmethod
    def of(cls, project: Project) -> Self:
        """Read the models of a project; none if it has no dbt folder."""
        if not (project.dbt_dir / "dbt_project.yml").is_file():
            return cls([])
        manifest = _fresh_manifest(project)
        return cls(list(_from_manifest(project, manifest) if manifest else _from_files(project)))

    def made(self, table: TableName) -> list[Model]:
        """Return the models that make a table."""
        return [model for model in self._models if model.relation == table]

    def readers(self, table: TableName) -> list[Model]:
        """Return the models that read a table: as a source, by its name, or as the model that makes it."""
        makers = {model.name for model in self.made(table)}
        return [
            model
            for model in self._models
            if table in model.reads
            or makers & model.refs
            or (model.name not in makers and names_table(model.sql, table.schema, table.name))
        ]

    def children(self, name: str) -> list[Model]:
        """Return the models that read a model."""
        return [model for model in self._models if name in model.refs]


def _fresh_manifest(project: Project) -> Mapping[str, Any] | None:
    """Return the newest manifest unless a file of the dbt project is newer."""
    folders = [project.state_dir / "dbt" / "manifests", project.state_dir / "dbt" / "target"]
    found = [path for folder in folders for path in folder.glob("*/manifest.json")]
    found += [folders[1] / "manifest.json", project.dbt_dir / "target" / "manifest.json"]
    newest = max((path for path in found if path.is_file()), key=_modified, default=None)
    if newest is None or any(_modified(path) > _modified(newest) for path in _files(project)):
        return None
    try:
        manifest = json.loads(newest.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # dbt is just writing it
        return None
    return manifest if isinstance(manifest, dict) and isinstance(manifest.get("nodes"), dict) else None


def _files(project: Project) -> Iterator[Path]:
    for path in project.dbt_dir.rglob("*"):
        inner = path.relative_to(project.dbt_dir)
        if path.suffix in (".sql", *_YAML) and inner.parts[0] not in ("target", "logs", "dbt_packages"):
            yield path


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _from_manifest(project: Project, manifest: Mapping[str, Any]) -> Iterator[Model]:
    sources = {key: _relation(node) for key, node in manifest.get("sources", {}).items()}
    nodes = {
        key: node
        for key, node in manifest["nodes"].items()
        if node.get("resource_type") in ("model", "snapshot", "seed")
    }
    for node in nodes.values():
        parents = node.get("depends_on", {}).get("nodes", [])
        yield Model(
            name=node["name"],
            file=f"{project.dbt_dir.name}/{node['original_file_path']}",
            sql=node.get("raw_code") or "",
            relation=_relation(node),
            reads=frozenset(table for key in parents if (table := sources.get(key))),
            refs=frozenset(nodes[key]["name"] for key in parents if key in nodes),
        )


def _relation(node: Mapping[str, Any]) -> TableName | None:
    name = node.get("identifier") or node.get("alias") or node.get("name")
    ephemeral = (node.get("config") or {}).get("materialized") == "ephemeral"
    if ephemeral or not node.get("schema") or not name:
        return None
    return TableName(str(node["schema"]), str(name))


def _from_files(project: Project) -> Iterator[Model]:
    settings = _yaml(project.dbt_dir / "dbt_project.yml")
    folders = settings.get("model-paths") or ["models"]
    sources = dict(_sources(path for path in _files(project) if path.suffix in _YAML))
    for folder in map(project.dbt_dir.joinpath, folders):
        for path in sorted(folder.rglob("*.sql")):
            sql = path.read_text(encoding="utf-8", errors="replace")
            config = {key: value for key, value in _CONFIG.findall(sql.partition("}}")[0]) if "config" in sql}
            schema = config.get("schema") or _folder_schema(settings, path.relative_to(folder).parts[:-1])
            yield Model(
                name=path.stem,
                file=str(path.relative_to(project.root)),
                sql=sql,
                relation=TableName(schema, config.get("alias", path.stem)) if schema else None,
                reads=frozenset(sources[key] for key in _SOURCE.findall(sql) if key in sources),
                refs=frozenset(_REF.findall(sql)),
            )


def _sources(files: Iterator[Path]) -> Iterator[tuple[tuple[str, str], TableName]]:
    for path in files:
        for source in _dicts(_yaml(path).get("sources")):
            name = str(source.get("name"))
            for table in _dicts(source.get("tables")):
                relation = TableName(
                    str(source.get("schema") or name), str(table.get("identifier") or table.get("name"))
                )
                yield (name, str(table.get("name"))), relation


def _folder_schema(settings: Mapping[str, Any], folders: Sequence[str]) -> str | None:
    """Return the schema that `dbt_project.yml` gives a folder of models: that of the innermost one that has one."""
    place: Any = (settings.get("models") or {}).get(settings.get("name"))
    schema = None
    for part in (None, *folders):
        place = place if part is None else place.get(part)
        if not isinstance(place, dict):
            break
        schema = place.get("+schema") or place.get("schema") or schema
    return schema if isinstance(schema, str) else None


def _yaml(path: Path) -> Mapping[str, Any]:
    """Read one of dbt's files; what cannot be read says nothing."""
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> list[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
