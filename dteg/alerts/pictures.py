"""The chart that a rule sends along, drawn once in a round; a message never waits long for it, nor fails for it."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotReadyError

from dteg.alerts.channels import Picture
from dteg.alerts.rules import Rule
from dteg.core.errors import DtegError
from dteg.core.project import Project

WAIT_S = 10.0


class Pictures:
    """The charts of the rules in one round of deliveries.

    Args:
        rules: Those in force.
        draw: Returns the PNG of a chart.
    """

    def __init__(self, rules: Sequence[Rule], draw: Callable[[str], bytes]) -> None:
        self._charts: Mapping[str, str] = {rule.name: rule.chart for rule in rules if rule.chart is not None}
        self._draw = draw
        self._drawn: dict[str, Future[bytes]] = {}
        self._lock = threading.Lock()

    def of(self, rule: str, wait_s: float = WAIT_S) -> tuple[Picture | None, str]:
        """Return the picture of a rule, or why there is none; nothing for a rule without a chart."""
        chart = self._charts.get(rule)
        if chart is None:
            return None, ""
        try:
            return Picture(f"{chart}.png", self._future(chart).result(wait_s)), ""
        except NotReadyError:
            return None, f"the chart {chart} was not ready within {wait_s:g} s"
        except DtegError as error:
            return None, f"the chart {chart} could not be drawn: {str(error)[:300]}"
        except Exception as error:  # noqa: BLE001 - a fault of the drawing must not keep the message back
            return None, f"the chart {chart} could not be drawn: {type(error).__name__}"

    def _future(self, chart: str) -> Future[bytes]:
        with self._lock:
            if (known := self._drawn.get(chart)) is not None:
                return known
            future = self._drawn[chart] = Future()
        threading.Thread(target=self._run, args=(chart, future), name=f"chart {chart}", daemon=True).start()
        return future

    def _run(self, chart: str, future: "Future[bytes]") -> None:
        try:
            future.set_result(self._draw(chart))
        except Exception as error:  # noqa: BLE001 - told to whoever waits
            future.set_exception(error)


def pictures_of(project: Project, rules: Sequence[Rule]) -> Pictures:
    """Return the charts of a project's rules."""

    def draw(chart: str) -> bytes:
        from dteg.charts.service import Charts

        return Charts.of(project).png(chart)

    return Pictures(rules, draw)
