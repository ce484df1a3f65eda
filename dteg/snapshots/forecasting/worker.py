"""The program that forecasts, in an environment with statsforecast: one JSON line in for a batch, one out per series.

It is started as a file and imports no dteg. In: `{"series": [{"values": [...], "season": 12, "horizon": 12}, ...]}`.
Out, for each series in its order: `{"result": {...}}` or `{"error": "..."}`. The end of its input ends it.
"""

import importlib.util
import json
import sys
import types
from pathlib import Path
from typing import Any


def _light() -> None:
    """Let `statsforecast.ets` be imported without the package's `__init__`.

    That one brings in engines for clusters, which take three quarters of the time of the import.
    """
    spec = importlib.util.find_spec("statsforecast")
    if spec is None or spec.submodule_search_locations is None:
        raise ImportError("statsforecast is not installed")
    package = types.ModuleType("statsforecast")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["statsforecast"] = package


def _answer(forecast: Any, order: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"result": forecast(order["values"], int(order["season"]), int(order["horizon"]))}
    except Exception as error:  # noqa: BLE001 - one odd series must not take the others along
        return {"error": f"{type(error).__name__}: {error}"}


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Answer until the input ends."""
    sys.path.insert(0, str(Path(__file__).parent))
    _light()
    from ladder import forecast  # type: ignore[import-not-found]

    _say({"ready": True})
    for line in sys.stdin:
        for order in json.loads(line)["series"]:
            _say(_answer(forecast, order))


if __name__ == "__main__":
    main()
