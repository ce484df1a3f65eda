"""Measures rows per second of a component and of a reference, in one process; see `dteg.gates.performance`.

The component's own contract case says with which config and against which server: the fixtures of one of its tests
are set up, and instead of that test the measurement runs.
"""

import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from dteg.gates.inside.channel import start
from dteg.gates.inside.testing import pytest_arguments, subject_of

HOOK = "test_close_may_be_called_twice"
FIXTURE = "performance_config"
ROWS = 100_000
LOAD_ROWS = 50_000
BATCH_ROWS = 8_192
ENOUGH_S = 0.4
SMALL_ROWS = 1_000


class Measurement:
    """A pytest plugin that measures in place of one test of each contract class."""

    def __init__(self) -> None:
        """Begin without measurements."""
        self.found: list[dict[str, Any]] = []
        self.skipped = ""

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Keep one test of each contract class."""
        items[:] = [item for item in items if item.name == HOOK and _is_contract(item)]

    def pytest_pyfunc_call(self, pyfuncitem: Any) -> bool | None:
        """Measure."""
        subject = subject_of(pyfuncitem)
        if not subject:
            return None
        case = pyfuncitem.funcargs["case"]
        try:
            config = pyfuncitem._request.getfixturevalue(FIXTURE)  # noqa: SLF001 - pytest offers no other way here
            case.config = dict(config)
        except LookupError:
            pass  # the component has no such fixture: the config of its contract case is used
        self.found.append({"subject": subject, **measure(case)})
        return True

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Keep why a test was skipped or failed."""
        if report.skipped or report.failed:
            self.skipped = str(report.longrepr)[-1500:]


def measure(case: Any) -> dict[str, Any]:
    """Measure one case; rows per second of the component and of the reference."""
    from dteg.connectors.base import Extractor, Loader, Processor

    cls = case.subject.cls
    if issubclass(cls, Processor):
        return _processor(case)
    if issubclass(cls, Extractor):
        return _extractor(case)
    if issubclass(cls, Loader):
        return _loader(case)
    return _transformer(case)


def _processor(case: Any) -> dict[str, Any]:
    batches = _many(case.sample[0], ROWS)
    rows, speeds, deadline = 0, [], time.perf_counter() + 10
    for _ in range(3):
        rows, started = 0, time.perf_counter()
        connector = case.create()
        for batch in batches:
            connector.process(batch)
            connector.context.dead_letters.clear()
            rows += batch.num_rows
            if time.perf_counter() - started > 5:
                break
        speeds.append(rows / (time.perf_counter() - started))
        if time.perf_counter() > deadline:
            break
    return _result(rows, max(speeds), _reference(batches[0]), small=False)


def _extractor(case: Any) -> dict[str, Any]:
    first: Any = None
    cycles, rows, started = 0, 0, time.perf_counter()
    while cycles < 200 and time.perf_counter() - started < ENOUGH_S:
        rows = 0
        with case.create() as connector:
            for stream in list(connector.streams()):
                for batch in connector.read(stream, None):
                    rows += batch.num_rows
                    first = first if first is not None and first.num_rows else batch
                    connector.context.dead_letters.clear()
        cycles += 1
    seconds = (time.perf_counter() - started) / cycles
    if first is None or not rows:
        return {"rows": 0, "rows_per_s": 0.0, "reference_rows_per_s": 1.0, "small": True, "seconds": seconds}
    return _result(rows, rows / seconds, _reference(first), small=rows < SMALL_ROWS, seconds=seconds)


def _loader(case: Any) -> dict[str, Any]:
    from dteg.connectors.base import Checkpoint
    from dteg.testing.loader_contract import _fit, _plan, _sample

    sample, speed, rows = _sample(case), 0.0, 1_000
    while True:
        batches = _many(sample, rows)
        plan = replace(_plan(case), load_id=f"performance-{rows}")
        started = time.perf_counter()
        with case.create() as loader, loader.open(plan) as session:
            schema = session.begin(sample.schema)
            for batch in batches:
                session.write(_fit(batch, schema))
            session.publish(Checkpoint(rows))
        seconds = time.perf_counter() - started
        speed = rows / seconds
        if seconds > ENOUGH_S or rows >= LOAD_ROWS:
            return _result(rows, speed, _reference(batches[0]), small=False, seconds=seconds)
        rows = min(LOAD_ROWS, rows * 7)


def _transformer(case: Any) -> dict[str, Any]:
    """Measure the making of SQL: a transformer does nothing else, the warehouse runs it."""
    cycles, started = 0, time.perf_counter()
    while cycles < 1000 and time.perf_counter() - started < ENOUGH_S:
        case.create().sql()
        cycles += 1
    seconds = (time.perf_counter() - started) / cycles
    text = {"sql": case.create().sql()}
    began = time.perf_counter()
    for _ in range(1000):
        json.loads(json.dumps(text))
    return _result(1, 1 / seconds, 1000 / (time.perf_counter() - began), small=True, seconds=seconds)


def _many(batch: Any, rows: int) -> list[Any]:
    """Repeat the rows of a batch."""
    import pyarrow as pa

    table = pa.Table.from_batches([batch])
    times = -(-rows // max(1, batch.num_rows))
    whole = pa.concat_tables([table] * times).slice(0, rows).combine_chunks()
    return list(whole.to_batches(max_chunksize=BATCH_ROWS))


def _reference(batch: Any) -> float:
    """Return rows per second of the reference: each row through JSON and back, in plain Python."""
    rows = _many(batch, 2_000)[0].to_pylist()
    speeds = []
    for _ in range(3):
        started = time.perf_counter()
        for row in rows:
            json.loads(json.dumps(row, default=str))
        speeds.append(len(rows) / (time.perf_counter() - started))
    return max(speeds)


def _result(
    rows: int, speed: float, reference: float, *, small: bool, seconds: float = 0.0
) -> dict[str, Any]:
    return {
        "rows": rows,
        "rows_per_s": speed,
        "reference_rows_per_s": reference,
        "small": small,
        "seconds": seconds,
    }


def _is_contract(item: Any) -> bool:
    from dteg.testing.connector_contract import ConnectorContract

    cls = getattr(item, "cls", None)
    return isinstance(cls, type) and issubclass(cls, ConnectorContract)


def _peak_memory() -> int:
    """Return the most resident memory this process ever had (bytes)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def main() -> None:
    """Measure, tell."""
    given, send = start()
    folder = Path("/component") / given["package"].replace(".", "/")
    sys.path.insert(0, "/component")
    import pytest

    measurement = Measurement()
    pytest.main(pytest_arguments(folder, given["timeout_s"]), plugins=[measurement])
    cases = measurement.found
    send({"kind": "result", "cases": cases, "skipped": measurement.skipped, "memory": _peak_memory()})


if __name__ == "__main__":
    main()
