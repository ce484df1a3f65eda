"""Checks that every connector passes, whatever its kind. The tests' names are the promises."""

import inspect
import json
import os
import re
import subprocess
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from dteg.connectors.base import (
    Capabilities,
    Connector,
    ConnectorConfig,
    Extractor,
    Loader,
    Processor,
    Transformer,
)
from dteg.connectors.discovery import Component
from dteg.core.config import ConnectionUrl, Secret
from dteg.core.errors import DtegError
from dteg.manifest import MANIFEST_NAME, Manifest, read_manifest
from dteg.testing.case import Case, must, must_raise

CANARY = "canary-7f3e9d-must-not-show"
CANARY_VARIABLE = "DTEG_CONTRACT_CANARY"
README_HEADINGS = ("overview", "configuration", "example", "troubleshooting")
_BASES: dict[str, type[Connector[Any]]] = {
    "extractor": Extractor,
    "processor": Processor,
    "loader": Loader,
    "transformer": Transformer,
}
_SECRET_NAME = re.compile(r"(^|_)(password|passwd|secret|token|api_key|private_key|access_key)$")


class ConnectorContract:
    """Base of the suites; `case` is a fixture that `contract_tests` adds."""

    def test_config_is_a_frozen_model(self, case: Case) -> None:
        """The checked config cannot change under a running connector."""
        must(issubclass(case.model, ConnectorConfig), "the config model must derive from ConnectorConfig")
        must(case.model.model_config.get("frozen"), "the config model must be frozen")

    def test_config_refuses_unknown_keys(self, case: Case) -> None:
        """A typing mistake in YAML is an error, not a default."""
        with must_raise(ValidationError, "config with the unknown key 'contract_unknown'"):
            case.checked_config(contract_unknown=1)

    def test_config_refuses_bad_values(self, case: Case) -> None:
        """Each `bad_config` is refused by the model, before anything is opened."""
        for change in case.subject.bad_config:
            with must_raise(ValidationError, f"config with {change!r}"):
                case.checked_config(**change)

    def test_config_fields_are_described(self, case: Case) -> None:
        """Form, reference page and editor hints are made from the descriptions."""
        bare = [
            f"{owner.__name__}.{name}" for owner, name, info in _fields(case.model) if not info.description
        ]
        must(not bare, f"fields without description: {', '.join(bare)}")

    def test_secret_fields_have_the_type_secret(self, case: Case) -> None:
        """A plain text would be printed and stored."""
        plain = [
            name
            for _, name, info in _fields(case.model)
            if _SECRET_NAME.search(name) and not _is_secret(info)
        ]
        must(not plain, f"declare as Secret: {', '.join(plain)}")

    def test_secrets_are_masked(self, case: Case) -> None:
        """No way to write a config down shows the value of a secret."""
        for name, info in case.model.model_fields.items():
            if Secret not in _leaves(info.annotation):
                continue
            secret = _held(info.annotation, Secret(CANARY, literal=True))
            config = case.checked_config(**{info.alias or name: secret})
            connector = case.subject.cls(config, case.create().context)
            shown = {
                "repr": repr(config), "str": str(config), "dump": str(config.model_dump()),
                "JSON": config.model_dump_json(), "repr of the connector": repr(connector),
            }  # fmt: skip
            for way, text in shown.items():
                must(CANARY not in text, f"{way} shows the secret {name}")

    def test_broken_config_raises_our_errors(self, case: Case, monkeypatch: Any) -> None:
        """Drivers' exceptions are translated, and the secret is not in them."""
        monkeypatch.setenv(CANARY_VARIABLE, CANARY)
        for change in case.broken:
            error = _failure(case, {**case.config, **_canaries(case.model), **change})
            must(error is not None, f"with {change!r} everything worked, but it was declared broken")
            _must_be_ours(error, f"with {change!r}")

    def test_url_passwords_stay_out_of_errors(self, case: Case, monkeypatch: Any) -> None:
        """A connection URL with a password that leads nowhere fails without showing the password."""
        for name, info in case.model.model_fields.items():
            url = case.config.get(info.alias or name)
            if ConnectionUrl not in _leaves(info.annotation) or not isinstance(url, str):
                continue
            scheme = urlsplit(os.environ.get(url.removeprefix("secret://env/"), url)).scheme
            monkeypatch.setenv(CANARY_VARIABLE, f"{scheme}://contract:{CANARY}@127.0.0.1:1/none")
            change = {info.alias or name: f"secret://env/{CANARY_VARIABLE}"}
            error = _failure(case, {**case.config, **change})
            if error is not None:
                _must_be_ours(error, f"with a {name} that leads nowhere")

    def test_manifest_names_this_class(self, case: Case) -> None:
        """`dteg.yaml` lies beside the class, is valid, and its entry point and kind are right."""
        if not case.subject.packaged:
            return
        cls, folder = case.subject.cls, _folder(case)
        must((folder / MANIFEST_NAME).is_file(), f"no {MANIFEST_NAME} beside {cls.__name__}")
        manifest = _manifest(folder)
        must(
            manifest.kind in _BASES and issubclass(cls, _BASES[manifest.kind]),
            f"kind {manifest.kind!r} does not fit",
        )
        expected = f"{Path(inspect.getfile(cls)).stem}:{cls.__name__}"
        must(manifest.entry_point == expected, f"entry_point must be {expected}, is {manifest.entry_point}")
        package = cls.__module__.rpartition(".")[0]
        if package:
            must(Component(manifest, folder, package).load() is cls, "the entry point loads another class")

    def test_readme_explains_every_field(self, case: Case) -> None:
        """README.md has the usual parts, and its configuration part names each field."""
        if not case.subject.packaged:
            return
        path = _folder(case) / "README.md"
        must(path.is_file(), "no README.md beside the class")
        sections = _sections(path.read_text(encoding="utf-8"))
        for heading in README_HEADINGS:
            must(any(heading in title for title in sections), f"README.md has no heading {heading!r}")
        text = "\n".join(body for title, body in sections.items() if "configuration" in title)
        names = [info.alias or name for name, info in case.model.model_fields.items()]
        absent = [name for name in names if not re.search(rf"\b{re.escape(name)}\b", text)]
        must(not absent, f"README.md: the configuration part does not name {', '.join(absent)}")

    def test_capabilities_are_declared(self, case: Case) -> None:
        """The engine asks the class, so the class must say."""
        cls = case.subject.cls
        own = [owner for owner in cls.__mro__ if "capabilities" in vars(owner) and owner is not Connector]
        must(own, "declare capabilities = Capabilities(...), even if it is empty")
        must(isinstance(cls.capabilities, Capabilities), "capabilities must be Capabilities(...)")

    def test_import_is_light(self, case: Case) -> None:
        """Listing connectors and `dteg --help` must not load drivers."""
        if not case.subject.lazy:
            return
        code = "import importlib, json, sys; importlib.import_module(sys.argv[1]); print(json.dumps(list(sys.modules)))"
        done = subprocess.run(
            [sys.executable, "-c", code, case.subject.cls.__module__],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        must(done.returncode == 0, f"the module cannot be imported by itself: {done.stderr}")
        heavy = sorted(set(case.subject.lazy) & set(json.loads(done.stdout.splitlines()[-1])))
        must(not heavy, f"importing the connector imports {', '.join(heavy)}; import them inside functions")

    def test_close_may_be_called_twice(self, case: Case) -> None:
        """Also where nothing was opened."""
        connector = case.create()
        connector.close()
        connector.close()


def _failure(case: Case, config: dict[str, Any]) -> Exception | None:
    """Use a connector and return what it raises; ConfigError from making it counts too."""
    try:
        with case.create(config) as connector:
            connector.check()
            if isinstance(connector, Extractor):
                for stream in connector.streams():
                    next(iter(connector.read(stream, None)), None)
    except Exception as error:  # noqa: BLE001 - any error is what is looked at
        return error
    return None


def _must_be_ours(error: Exception | None, when: str) -> None:
    must(isinstance(error, DtegError), f"{when}: must raise a DtegError, raised {error!r}")
    must(CANARY not in "".join(traceback.format_exception(error)), f"{when}: the error shows the secret")


def _canaries(model: type[BaseModel]) -> dict[str, Any]:
    return {
        info.alias or name: _held(info.annotation, f"secret://env/{CANARY_VARIABLE}")
        for name, info in model.model_fields.items()
        if Secret in _leaves(info.annotation)
    }


def _held(annotation: Any, secret: Any) -> Any:
    """Return a secret as a field of this type holds it: as `Secret` does, `list[Secret]` or `dict[str, Secret]`."""
    around = get_origin(annotation)
    if around is dict:
        return {"X-Canary": secret}
    return around([secret]) if around in (list, set, tuple) else secret


def _leaves(annotation: Any) -> set[Any]:
    """Return the types inside an annotation such as `Secret | None` or `list[Column]`."""
    inner = get_args(annotation)
    return set().union(*map(_leaves, inner)) if inner else {annotation}


def _is_secret(info: FieldInfo) -> bool:
    return bool({Secret, ConnectionUrl} & _leaves(info.annotation)) or bool in _leaves(info.annotation)


def _fields(
    model: type[BaseModel], seen: frozenset[type] = frozenset()
) -> Iterator[tuple[type, str, FieldInfo]]:
    """Yield the fields of a model and of the models inside it."""
    for name, info in model.model_fields.items():
        yield model, name, info
        for leaf in _leaves(info.annotation):
            if isinstance(leaf, type) and issubclass(leaf, BaseModel) and leaf not in seen:
                yield from _fields(leaf, seen | {model, leaf})


def _folder(case: Case) -> Path:
    return Path(inspect.getfile(case.subject.cls)).parent


def _manifest(folder: Path) -> Manifest:
    try:
        return read_manifest(folder / MANIFEST_NAME)
    except DtegError as error:
        raise AssertionError(f"{MANIFEST_NAME} is not valid: {error}") from error


def _sections(markdown: str) -> dict[str, str]:
    """Split a README at its headings; a section includes its subsections."""
    sections: dict[str, str] = {}
    open_titles: list[tuple[int, str]] = []
    in_code = False
    for line in markdown.splitlines():
        in_code ^= line.startswith("```")
        match = None if in_code else re.match(r"^(#{1,6})\s+(.*)", line)
        if match:
            level = len(match[1])
            open_titles = [(depth, title) for depth, title in open_titles if depth < level]
            open_titles.append((level, match[2].strip().lower()))
        for _, title in open_titles:
            sections[title] = sections.get(title, "") + line + "\n"
    return sections
