"""`dteg create`: a component of four files that passes its tests and every gate as it is.

The templates lie beside this file as they are written, under the name `acme`: each is a component of its own.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from dteg.core.errors import ConfigError, EnvironmentProblemError
from dteg.core.project import Project
from dteg.manifest import NAMESPACE_PATTERN, ComponentKind, Manifest

KINDS: tuple[ComponentKind, ...] = get_args(ComponentKind)
_TEMPLATES = Path(__file__).parent
_RESERVED = frozenset(["dteg", "test", "conftest", "for_dagster", "acme", "dbt", "sql"])
"""Names that would hide a module or a file of the component itself, or mean something else in a pipeline."""


@dataclass(frozen=True, slots=True)
class NewComponent:
    """What a new component is called.

    Attributes:
        kind: Extractor, loader, processor or transformer.
        name: Small letters, digits and underscores; the `type:` in pipelines.
        author: Person or team.
        description: One sentence, without the full stop.
        namespace: Whose it is in the marketplace; may be empty until it is published.
    """

    kind: ComponentKind
    name: str
    author: str
    description: str = ""
    namespace: str = ""

    def sentence(self) -> str:
        """Return the description, by default one that says what the template does."""
        return self.description.strip().rstrip(".") or _DEFAULTS[self.kind].format(name=self.name)


_DEFAULTS: dict[ComponentKind, str] = {
    "extractor": "Reads the records of {name}",
    "processor": "Cleans texts as {name} wants them",
    "loader": "Writes records to {name}",
    "transformer": "Summarises a table for {name}",
}


def create_component(project: Project, new: NewComponent) -> list[Path]:
    """Write the files of a new component below the project's components.

    Returns:
        The paths that were made.

    Raises:
        ConfigError: The name is taken or not allowed, or a value does not fit the manifest.
        EnvironmentProblemError: The folder cannot be written.
    """
    folder = project.components_dir / f"{new.kind}s" / new.name
    _check(new)
    if folder.exists():
        raise ConfigError(f"{folder} is there already; choose another name, or delete it first")
    texts = {path.name.replace("acme", new.name): _filled(path, new) for path in _files(new.kind)}
    for name, text in texts.items():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise EnvironmentProblemError(f"{folder / name} cannot be written: {error.strerror}") from None
    return [folder / name for name in texts]


def _files(kind: ComponentKind) -> list[Path]:
    files = (path for path in (_TEMPLATES / kind).iterdir() if path.is_file())
    return sorted(files, key=lambda path: path.name)


def _check(new: NewComponent) -> None:
    pattern = r"[a-z](_?[a-z0-9])+"
    if not re.fullmatch(pattern, new.name) or len(new.name) > 63:
        raise ConfigError(
            f"{new.name!r} cannot be the name of a component: use 2 to 63 small letters and digits, a letter first, "
            "with single underscores between words"
        )
    if new.name in _RESERVED:
        raise ConfigError(f"{new.name!r} is a name that dteg uses itself; choose another one")
    if new.namespace and not re.fullmatch(NAMESPACE_PATTERN, new.namespace):
        raise ConfigError(
            f"{new.namespace!r} is no namespace; use 2 to 39 small letters and digits, a letter first"
        )
    limits = Manifest.model_json_schema()["properties"]["description"]
    if not limits["minLength"] <= len(new.sentence()) <= limits["maxLength"]:
        raise ConfigError(
            f"the description has {len(new.sentence())} characters; "
            f"write {limits['minLength']} to {limits['maxLength']}"
        )
    if not new.author.strip() or any(ord(each) < 32 for each in new.author + new.sentence()):
        raise ConfigError("author and description must be one line of text each")


def _filled(path: Path, new: NewComponent) -> str:
    text = path.read_text(encoding="utf-8")
    sentence, author = new.sentence(), new.author.strip()
    if path.suffix == ".yaml":  # JSON texts are YAML texts
        sentence, author = (json.dumps(each, ensure_ascii=False) for each in (f"{sentence}.", author))
        text = text.replace("namespace: NAMESPACE\n", f"namespace: {new.namespace}\n" * bool(new.namespace))
    elif path.suffix == ".py":
        sentence = sentence.replace("\\", "\\\\").replace('"""', "'''")
    camel = "".join(word.capitalize() for word in new.name.split("_"))
    known = {"DESCRIPTION": sentence, "AUTHOR": author, "Acme": camel, "acme": new.name}
    return re.sub("|".join(known), lambda match: known[match[0]], text)
