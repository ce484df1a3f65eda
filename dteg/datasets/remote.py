"""Datasets of a studio, over HTTP: the same methods as `Datasets`."""

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dteg.core.errors import (
    ConfigError,
    ConflictError,
    DtegError,
    PermanentError,
    Problem,
    QualityGateError,
    UnavailableError,
)
from dteg.datasets.models import (
    CheckResult,
    Dataset,
    DatasetColumn,
    Generation,
    GenerationStatus,
    Origin,
    Removed,
    RowPage,
)
from dteg.studio_client import StudioClient, quoted
from dteg.tables.models import Use

if TYPE_CHECKING:
    from dteg.datasets.compiler import Compiled
    from dteg.datasets.preview import JoinSuggestion, Preview
    from dteg.datasets.spec import DatasetSpec, TableRef

_LOOK_S = (0.05, 0.1, 0.2, 0.5)
_LOOK_LAST_S = 1.0
# A process that has been started begins within this time, or never.
_BEGIN_S = 60.0
_PLACE = re.compile(r"[a-z_]+(\[[0-9]+\]|\.[A-Za-z0-9_]+)*")


class RemoteDatasets:
    """The datasets of a studio.

    Args:
        client: Talks with it.
    """

    def __init__(self, client: StudioClient) -> None:
        self._client = client

    def save(
        self,
        spec: "DatasetSpec",
        replace: bool = False,
        origin: Origin = "api",
        who: str = "",
        file: str = "",
    ) -> Dataset:
        """Save a definition."""
        from dteg.datasets.spec import dump_spec

        body = {"spec": dump_spec(spec), "replace": replace}
        return Dataset.model_validate(self._client.post("/datasets", body))

    def apply(self, path: Path, who: str = "") -> Dataset:
        """Save the definition in a YAML file of this machine."""
        from dteg.core.yaml import read
        from dteg.datasets.spec import placed, spec_of

        document = read(path, str(path))
        try:
            return self.save(spec_of(document), replace=True)
        except ConfigError as error:
            raise placed(_with_paths(error), document) from None

    def validate(self, spec: "DatasetSpec") -> "Compiled":
        """Compile a definition without saving or running anything."""
        from dteg.datasets.compiler import Compiled
        from dteg.datasets.spec import dump_spec

        return Compiled.model_validate(self._client.post("/datasets/validate", {"spec": dump_spec(spec)}))

    def datasets(self) -> list[Dataset]:
        """Return all datasets by name."""
        return [Dataset.model_validate(each) for each in self._client.items("/datasets")]

    def get(self, slug: str) -> Dataset:
        """Return one dataset."""
        return Dataset.model_validate(self._client.get(_path(slug)))

    def export(self, slug: str) -> str:
        """Return the definition as YAML."""
        return str(self._client.get(f"{_path(slug)}/yaml")["yaml"])

    def remove(self, slug: str) -> Removed:
        """Delete a dataset with its rows."""
        return Removed.model_validate(self._client.delete(_path(slug)))

    def uses(self, slug: str) -> Sequence[Use]:
        """Return what reads a dataset."""
        return [Use.model_validate(each) for each in self._client.get(f"{_path(slug)}/uses")["items"]]

    def preview(self, spec: "DatasetSpec", rows: int = 50) -> "Preview":
        """Return the first rows, the SQL, its plan and warnings."""
        from dteg.datasets.preview import Preview
        from dteg.datasets.spec import dump_spec

        body = {"spec": dump_spec(spec), "rows": rows}
        return Preview.model_validate(self._client.post("/datasets/preview", body))

    def suggest_joins(self, tables: "Sequence[TableRef]") -> "list[JoinSuggestion]":
        """Return how tables may belong together, best first."""
        from dteg.datasets.preview import JoinSuggestion

        body = {"tables": [each.model_dump(mode="json", exclude_unset=True) for each in tables]}
        found = self._client.post("/datasets/joins", body)["items"]
        return [JoinSuggestion.model_validate(each) for each in found]

    def start(self, slug: str, run_id: str = "") -> str:
        """Begin a refresh and return at once."""
        return str(self._client.post(f"{_path(slug)}/refresh", {"run_id": run_id})["run_id"])

    def run(self, run_id: str) -> Generation | None:
        """Return the generation that a run made; None while it has not begun one."""
        found = self._client.get(f"/dataset-runs/{quoted(run_id)}")["generation"]
        return Generation.model_validate(found) if found else None

    def refresh(self, slug: str, run_id: str = "", *, wait_s: float = 0.0) -> Generation:
        """Begin a refresh and wait for its end."""
        end = time.monotonic() + wait_s
        while True:
            try:
                run_id = self.start(slug, run_id)
                break
            except ConflictError:
                if time.monotonic() >= end:
                    raise
                time.sleep(_LOOK_LAST_S)
        return self._waited(run_id)

    def check(self, slug: str, n: int) -> list[CheckResult]:
        """Return what the checks said of a generation."""
        return self.generation(slug, n).checks

    def rollback(self, slug: str, n: int | None = None) -> Generation:
        """Let readers see an earlier generation again."""
        return Generation.model_validate(self._client.post(f"{_path(slug)}/rollback", {"n": n}))

    def generations(self, slug: str, limit: int = 50) -> list[Generation]:
        """Return the copies of the rows, newest first."""
        found = self._client.get(f"{_path(slug)}/generations", limit=limit)["items"]
        return [Generation.model_validate(each) for each in found]

    def generation(self, slug: str, n: int) -> Generation:
        """Return one copy of the rows."""
        return Generation.model_validate(self._client.get(f"{_path(slug)}/generations/{n}"))

    def rows(
        self,
        slug: str,
        limit: int = 50,
        offset: int = 0,
        where: str = "",
        order: str = "",
        *,
        columns: Sequence[str] = (),
    ) -> RowPage:
        """Return rows that readers see."""
        query: dict[str, Any] = {
            "limit": limit, "offset": offset or None, "where": where, "order": order, "columns": list(columns) or None,
        }  # fmt: skip
        return RowPage.model_validate(self._client.get(f"{_path(slug)}/rows", **query))

    def sql(self, slug: str) -> str:
        """Return the SQL that the definition means now."""
        return str(self._client.get(f"{_path(slug)}/sql")["sql"])

    def columns(self, slug: str) -> list[DatasetColumn]:
        """Return the columns that readers see."""
        return self.get(slug).seen_columns

    def _waited(self, run_id: str) -> Generation:
        looks, began = iter(_LOOK_S), time.monotonic()
        while True:
            found = self.run(run_id)
            if found and found.status.ended:
                if found.status in (GenerationStatus.FAILED, GenerationStatus.DROPPED):
                    raise _error_of(found)
                return found
            if found is None and time.monotonic() - began > _BEGIN_S:
                raise UnavailableError(
                    "the refresh was asked for but did not begin; the studio's log says more"
                )
            time.sleep(next(looks, _LOOK_LAST_S))


def _error_of(generation: Generation) -> DtegError:
    failed = [each.name for each in generation.checks if each.blocking and not each.passed]
    why = generation.error or "it was dropped"
    return QualityGateError(why, failed=failed) if failed else PermanentError(why, component="datasets")


def _with_paths(error: ConfigError) -> ConfigError:
    """Tell the paths from the messages, which came over HTTP as one text."""
    found = []
    for problem in error.problems:
        path, colon, message = problem.message.partition(": ")
        is_path = bool(colon) and _PLACE.fullmatch(path) is not None
        found.append(Problem(message, path=path) if is_path else problem)
    return ConfigError(found)


def _path(slug: str) -> str:
    return f"/datasets/{quoted(slug)}"
