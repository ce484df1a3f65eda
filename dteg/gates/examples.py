"""The YAML blocks in a README, checked against the format of pipelines."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from dteg.core.errors import ConfigError
from dteg.core.yaml import Document, parse, validate
from dteg.manifest import Manifest
from dteg.pipelines.spec import PipelineFile, Step

_STEPS = {"extractor": "extract", "processor": "process", "loader": "load", "transformer": "transform"}
_FENCE = re.compile(r"^(?P<indent>\s*)```\s*(?P<language>\w*)\s*$")


@dataclass(frozen=True, slots=True)
class Example:
    """One YAML block.

    Attributes:
        line: Line of the README where its text begins, counted from 1.
        problem: What is wrong with it; empty if nothing is.
        configs: Configs of this component in it, with their lines.
    """

    line: int
    problem: str
    configs: tuple[tuple[int, dict[str, Any]], ...]


def examples_in(readme: str, manifest: Manifest) -> list[Example]:
    """Return all blocks marked as `yaml` or `yml`."""
    return [_example(text, line, manifest) for text, line in _blocks(readme)]


def _blocks(readme: str) -> Iterator[tuple[str, int]]:
    collected: list[str] | None = None
    start, is_yaml = 0, False
    for number, line in enumerate(readme.splitlines(), 1):
        fence = _FENCE.match(line)
        if collected is None and fence:
            collected, start, is_yaml = [], number + 1, fence["language"].lower() in ("yaml", "yml")
        elif collected is not None and line.strip() == "```":
            if is_yaml:
                yield "\n".join(collected) + "\n", start
            collected = None
        elif collected is not None:
            collected.append(line)


def _example(text: str, line: int, manifest: Manifest) -> Example:
    # Blocks in a list are indented; YAML takes the first line's indent for that of the whole.
    try:
        document = parse(text)
        value = document.value
        if isinstance(value, dict) and "pipeline" in value:
            validate(document, PipelineFile)
        elif isinstance(value, dict) and value.keys() <= {"extract", "process", "load", "transform"}:
            _check(document, value)
        elif isinstance(value, list):
            for step in value:
                _check(document, step)
    except ConfigError as error:
        return Example(line + (error.problems[0].line or 1) - 1, error.problems[0].message, ())
    configs = tuple((line, config) for config in _configs(value, manifest))
    return Example(line, "", configs)


def _check(document: Document, value: Any) -> None:
    """Check one step, or the parts of a pipeline in short form."""
    parts = [{key: one} for key, one in value.items()] if isinstance(value, dict) else [value]
    for part in parts:
        for one in _each(part):
            _validate(document, Step, one)


def _validate(document: Document, model: type[BaseModel], value: Any) -> None:
    validate(document, model, value)


def _each(part: Any) -> list[Any]:
    if isinstance(part, dict) and len(part) == 1:
        ((key, value),) = part.items()
        if isinstance(value, list):
            return [{key: one} for one in value]
    return [part]


def _configs(value: Any, manifest: Manifest) -> Iterator[dict[str, Any]]:
    """Yield the configs of steps of this component, at any depth."""
    step_name = _STEPS[manifest.kind]
    if isinstance(value, list):
        for each in value:
            yield from _configs(each, manifest)
    elif isinstance(value, dict):
        for key, inner in value.items():
            steps = inner if isinstance(inner, list) else [inner]
            for step in steps:
                if key == step_name and isinstance(step, dict) and _is_own(step.get("type"), manifest):
                    config = step.get("config", {})
                    yield config if isinstance(config, dict) else {}
                else:
                    yield from _configs({} if key == step_name else step, manifest)


def _is_own(type_name: object, manifest: Manifest) -> bool:
    own = {manifest.name, manifest.slug, f"{manifest.name}_{manifest.kind}"}
    return str(type_name).removeprefix("dteg://").rsplit("/", 1)[-1] in own
