"""Imports a component's class and says what it is; checks the examples of its README. See `dteg.gates.structure`."""

import sys
from typing import Any

from dteg.gates.inside.channel import start


def main() -> None:
    """Import, compare, tell."""
    given, send = start()
    sys.path.insert(0, "/component")
    answer: dict[str, Any] = {"kind": "result", "error": "", "schema": {}, "is_kind": False, "examples": []}
    try:
        cls = _load(given["package"], given["entry_point"])
        answer["is_kind"] = _is_kind(cls, given["kind"])
        if answer["is_kind"]:
            answer["schema"] = cls.config_model.model_json_schema()
            answer["examples"] = [_problem(cls, config) for config in given["examples"]]
    except BaseException as error:  # noqa: BLE001 - a component may raise anything, SystemExit included
        answer["error"] = f"{type(error).__name__}: {error}"[:2000]
    send(answer)


def _load(package: str, entry_point: str) -> Any:
    import importlib

    module, _, name = entry_point.partition(":")
    return getattr(importlib.import_module(f"{package}.{module}"), name)


def _is_kind(cls: Any, kind: str) -> bool:
    from dteg.connectors.base import Extractor, Loader, Processor, Transformer

    bases = {"extractor": Extractor, "processor": Processor, "loader": Loader, "transformer": Transformer}
    return isinstance(cls, type) and issubclass(cls, bases[kind])


def _problem(cls: Any, config: dict[str, Any]) -> str:
    """Return what is wrong with the config of an example, empty if nothing is."""
    from pydantic import ValidationError

    try:
        cls.config_model.model_validate(config)
    except ValidationError as error:
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return ""


if __name__ == "__main__":
    main()
