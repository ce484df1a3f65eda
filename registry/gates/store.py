"""The collections `gate_runs` and `compat_cells`."""

from datetime import datetime
from typing import Any

from pymongo import IndexModel, ReturnDocument
from pymongo.errors import DuplicateKeyError

from registry.database import Database
from registry.gates.models import Cell, GateRun, RunKind

RUNS = "gate_runs"
CELLS = "compat_cells"
INDEXES = {
    RUNS: [IndexModel([("release", 1), ("started_at", -1)])],
    CELLS: [IndexModel("release"), IndexModel([("dteg", 1), ("status", 1)])],
}


class GateStore:
    """Runs by id, cells by release."""

    def __init__(self, database: Database) -> None:
        self._runs = database[RUNS]
        self._cells = database[CELLS]

    async def begin(
        self, run_id: str, *, release: str, kind: RunKind, attempt: int, worker: str, now: datetime
    ) -> GateRun | None:
        """Begin a run, or begin it again; None if somebody with a later attempt has it.

        What an earlier attempt has found stays until the same gate is over again.
        """
        change = {
            "$set": {
                "attempt": attempt,
                "worker": worker,
                "started_at": now,
                "ended_at": None,
                "report": None,
            },
            "$setOnInsert": {"release": release, "kind": kind.value, "results": {}, "schema_version": 1},
            "$inc": {"starts": 1},
        }
        try:
            found = await self._runs.find_one_and_update(
                {"_id": run_id, "attempt": {"$lt": attempt}}, change, upsert=True,
                return_document=ReturnDocument.AFTER,
            )  # fmt: skip
        except DuplicateKeyError:
            return None
        return GateRun.from_mongo(found) if found else None

    async def add(self, run: GateRun, gate: str, result: dict[str, Any]) -> bool:
        """Keep what a gate found; False when somebody else has begun the run again."""
        return await self._change(run, {f"results.{gate}": result})

    async def end(self, run: GateRun, report: dict[str, Any], now: datetime) -> bool:
        """Keep the report; False when somebody else has begun the run again."""
        return await self._change(run, {"report": report, "ended_at": now})

    async def find(self, run_id: str) -> GateRun | None:
        """Return a run."""
        found = await self._runs.find_one({"_id": run_id})
        return GateRun.from_mongo(found) if found else None

    async def set_cell(self, cell: Cell) -> None:
        """Keep the newest result of a combination."""
        await self._cells.replace_one({"_id": cell.id}, cell.to_mongo(), upsert=True)

    async def cells(self, releases: list[str]) -> list[Cell]:
        """Return the cells of releases, the newest versions last."""
        cursor = self._cells.find({"release": {"$in": releases}}, sort=[("_id", 1)])
        return [Cell.from_mongo(document) async for document in cursor]

    async def _change(self, run: GateRun, values: dict[str, Any]) -> bool:
        guard = {"_id": run.id, "attempt": run.attempt, "worker": run.worker}
        return bool((await self._runs.update_one(guard, {"$set": values})).matched_count)
