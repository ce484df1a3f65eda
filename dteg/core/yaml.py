"""YAML that cannot hurt: bounded size and depth, no aliases, no tags, no duplicate keys, and a line for each value.

Scalars follow YAML 1.2's core schema, so that `on: failure` is a key `on` and `no` is a text.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dteg.core.errors import ConfigError, Problem
from dteg.core.suggest import did_you_mean
from dteg.core.wording import plain_messages

MAX_BYTES = 1_000_000
MAX_DEPTH = 20

Path_ = tuple[str | int, ...]
ModelT = TypeVar("ModelT", bound=BaseModel)

_INT = re.compile(r"^[-+]?[0-9]+$")
_FLOAT = re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
_WORDS |= dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc] # chosen at run time
    """PyYAML's safe loader, used for its events only."""


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed YAML file.

    Attributes:
        value: Plain dicts, lists, strings, numbers, booleans and None.
        file: The file as the user named it.
        lines: 1-based line of each value (of the key, in a mapping).
    """

    value: Any
    file: str
    lines: Mapping[Path_, int]

    def at(self, path: Path_) -> Any:
        """Return the value at a path, None if there is none."""
        value = self.value
        for part in path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def problem(self, path: Path_, message: str) -> Problem:
        """Make a Problem at the nearest known place."""
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        return Problem(message, path=render_path(path), file=self.file, line=self.lines.get(known))


def render_path(path: Path_) -> str:
    """Render `("steps", 0, "extract")` as `steps[0].extract`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def yaml_files(folder: Path) -> list[Path]:
    """Return the YAML files of a folder by name; none if there is no such folder."""
    return sorted(path for path in folder.glob("*.y*ml") if path.suffix in (".yaml", ".yml"))


def parse(text: str, file: str = "") -> Document:
    """Parse one YAML document.

    Raises:
        ConfigError: Not YAML, or something that is not allowed; with file and line.
    """
    if len(text) > MAX_BYTES:
        raise ConfigError([Problem(f"file is larger than {MAX_BYTES} bytes", file=file)])
    if "\x00" in text:
        line = text[: text.index("\x00")].count("\n") + 1
        raise ConfigError([Problem("the file contains a NUL character", file=file, line=line)])
    try:
        builder = _Builder(file, yaml.parse(text, Loader=_Loader))
        return builder.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if mark and error.context_mark and mark.line > text.rstrip().count("\n"):
            mark = error.context_mark  # where the open quote or bracket stands, not the end of the file
        message = " ".join(str(part) for part in (error.context, error.problem) if part)
        if "\\t" in message or "'\\t'" in message or "cannot start any token" in message:
            message = "a tab where YAML wants spaces; indent with spaces"
        elif "mapping values are not allowed" in message:
            message += "; is a colon missing in the line above, this line indented too far, or a text with : not in quotes?"
        raise ConfigError(
            [
                Problem(
                    f"not valid YAML: {message}",
                    file=file,
                    line=min(mark.line, text.rstrip().count("\n")) + 1 if mark else None,
                )
            ]
        ) from None
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise ConfigError([Problem(f"not valid YAML: {error.reason}", file=file, line=line)]) from None


def read(path: Path, name: str | None = None) -> Document:
    """Read and parse a file; `name` is how messages call it.

    Raises:
        ConfigError: It cannot be read, is not UTF-8, or see `parse`.
    """
    name = name or str(path)
    try:
        with path.open("rb") as handle:
            data = handle.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError([Problem(f"cannot be read: {error.strerror}", file=name)]) from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(
            [Problem("the file is not UTF-8; save it as UTF-8", file=name, line=line)]
        ) from None
    return parse(text, name)


def validate(document: Document, model: type[ModelT], value: Any = None, at: Path_ = ()) -> ModelT:
    """Check a document, or the part of it `value` at path `at`, against a model.

    Raises:
        ConfigError: One problem for each thing that is wrong, with its line and a near miss.
    """
    value = document.value if value is None and not at else value
    if not isinstance(value, dict):
        raise ConfigError([document.problem(at, f"expected a mapping, found {_kind(value)}")])
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise ConfigError(problems_of(error, model, document, at)) from None


def load_model(path: Path, model: type[ModelT]) -> ModelT:
    """Read a YAML file as `model`.

    Raises:
        ConfigError: See `read` and `validate`.
    """
    return validate(read(path), model)


def problems_of(
    error: ValidationError, model: type[BaseModel], document: Document, at: Path_ = ()
) -> list[Problem]:
    """Translate pydantic's errors: one line each, at the right place, with a near miss for unknown keys."""
    places: dict[Path_, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False, include_context=True, include_input=False):
        places.setdefault(at + _in_document(detail, document.at(at)), []).append(detail)
    return [
        document.problem(path, message)
        for path, details in places.items()
        for message in _messages(details, model, document.at(path))
    ]


def _in_document(detail: ErrorDetails, value: Any) -> Path_:
    """Drop the names of union branches that pydantic mixes into a location."""
    path: list[str | int] = []
    for part in detail["loc"]:
        inside = (
            part in value if isinstance(value, dict) else isinstance(value, list) and isinstance(part, int)
        )
        if inside:
            value = value[part]
        elif detail["type"] != "missing" or part != detail["loc"][-1]:
            continue
        path.append(part)
    return tuple(path)


def _messages(details: list[ErrorDetails], model: type[BaseModel], value: Any) -> list[str]:
    unknown = [detail for detail in details if detail["type"] == "extra_forbidden"]
    messages = [_unknown_key(detail, model) for detail in unknown]
    rest = [detail for detail in details if detail["type"] != "extra_forbidden"]
    return messages + (plain_messages(rest, value) if rest else [])


def _unknown_key(detail: ErrorDetails, model: type[BaseModel]) -> str:
    key, known = str(detail["loc"][-1]), _keys_at(model, detail["loc"][:-1])
    near = did_you_mean(key, known) or f"there are: {', '.join(sorted(known))}"
    return f"unknown key {key!r}; {near}"


def _keys_at(model: Any, location: tuple[str | int, ...]) -> set[str]:
    """Return the keys that the model nested at `location` knows."""
    current: set[type[BaseModel]] = {model}
    for part in location:
        if isinstance(part, int):
            continue
        inner: set[type[BaseModel]] = set()
        for candidate in current:
            for name, info in candidate.model_fields.items():
                if part in (name, info.alias):
                    inner |= set(_models_in(info.annotation))
        current = inner or current
    return {info.alias or name for candidate in current for name, info in candidate.model_fields.items()}


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models_in(argument)


def _kind(value: object) -> str:
    names = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return names.get(type(value), "a number")


class _Builder:
    """Builds plain values out of parser events; events are flat, so depth costs no stack until it is checked."""

    def __init__(self, file: str, events: Iterator[Any]) -> None:
        self.file = file
        self.events = events
        self.lines: dict[Path_, int] = {}

    def document(self) -> Document:
        value: Any = None
        seen = False
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if seen:
                    raise self._error(event, "more than one YAML document in the file; keep one")
                seen = True
                value = self._value(next(self.events), ())
        return Document(value, self.file, self.lines)

    def _error(self, event: Any, message: str) -> ConfigError:
        return ConfigError([Problem(message, file=self.file, line=_line(event))])

    def _value(self, event: Any, path: Path_) -> Any:
        if len(path) > MAX_DEPTH:
            raise self._error(event, f"nested deeper than {MAX_DEPTH} levels")
        self._refuse_marks(event)
        self.lines.setdefault(path, _line(event))
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(path)
        return self._mapping(path)

    def _refuse_marks(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise self._error(event, "anchors and aliases (& and *) are not allowed; write the value out")
        if getattr(event, "tag", None) not in (None, "!") and not _is_core_tag(event.tag):
            raise self._error(event, f"the tag {event.tag} is not allowed; write a plain value")

    def _scalar(self, event: Any) -> Any:
        text: str = event.value
        if not event.implicit[0]:
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INT.match(text):
            if len(text) > 40:
                raise self._error(event, "the number has more than 40 digits")
            return int(text)
        return float(text) if _FLOAT.match(text) else text

    def _sequence(self, path: Path_) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self._value(event, (*path, len(items))))
        return items

    def _mapping(self, path: Path_) -> dict[str, Any]:
        result: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                # `path: {{ params.day }}` reads as a mapping whose key is a mapping.
                quoted = (
                    "; a value with {{ }} stands in quotes"
                    if isinstance(event, yaml.MappingStartEvent)
                    else ""
                )
                raise self._error(event, f"a key must be a plain text{quoted}")
            self._refuse_marks(event)
            key = event.value
            if key in result:
                raise self._error(
                    event, f"the key {key!r} stands twice (first in line {self.lines[(*path, key)]})"
                )
            if key == "<<":
                raise self._error(event, "merge keys (<<) are not allowed; write the values out")
            self.lines[(*path, key)] = _line(event)
            result[key] = self._value(next(self.events), (*path, key))
        return result


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1


def _is_core_tag(tag: str) -> bool:
    return tag in {
        f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map")
    }
