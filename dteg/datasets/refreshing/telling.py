"""What a refresh tells the alerts: for refreshes outside of Dagster, which has a sensor of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dteg.alerts.models import Kind, Occurrence, Severity, State
from dteg.alerts.occurrences import check_occurrence, report
from dteg.core.errors import ConflictError, DtegError
from dteg.core.project import Project
from dteg.core.secrets import redact
from dteg.datasets.models import VIEW_SCHEMA, Dataset, Generation
from dteg.datasets.service import Datasets

_MAX_MESSAGE = 1000


@dataclass
class Told:
    """A refresh that is told of when it ends.

    Attributes:
        datasets: The service.
        slug: Dataset.
    """

    datasets: Datasets
    slug: str
    generation: Generation | None = None

    def refresh(self, run_id: str = "", *, wait_s: float = 0.0) -> Generation:
        """Refresh; see `Datasets.refresh`."""
        self.generation = self.datasets.refresh(self.slug, run_id, wait_s=wait_s)
        return self.generation


@contextmanager
def telling(project: Project, slug: str) -> Iterator[Told]:
    """Tell of the refresh in the `with`; one that somebody else does already is not told of twice.

    Args:
        project: Whose dataset.
        slug: Which.
    """
    told = Told(Datasets.of(project), slug)
    try:
        yield told
    except ConflictError:
        raise
    except DtegError as error:
        _report_failure(told, error)
        raise
    if told.generation is not None:
        report(project, _succeeded(slug, told.generation), *_checks(told.generation))


def _report_failure(told: Told, error: DtegError) -> None:
    try:
        last = told.datasets.get(told.slug).last
    except DtegError:  # there is no such dataset, or no warehouse: nobody else needs to hear of that
        return
    message = redact(f"dataset {told.slug} was not refreshed: {str(error).splitlines()[0]}")[:_MAX_MESSAGE]
    details = {"dataset": told.slug, "status": "failure", "generation": last.n if last else None}
    report(
        told.datasets.project,
        Occurrence(
            kind=Kind.RUN, subject=_subject(told.slug), message=message, state=State.FIRING, details=details
        ),
        *(_checks(last) if last else ()),
    )


def freshness(dataset: Dataset) -> Occurrence | None:
    """Return what the age of a dataset tells; None for one whose age does not matter, or that has no rows yet."""
    if dataset.max_age_s is None or dataset.age_s is None:
        return None
    return Occurrence(
        kind=Kind.FRESHNESS,
        subject=f"{VIEW_SCHEMA}.{dataset.slug}",
        message=f"dataset {dataset.slug} is {dataset.age_s:,.0f} s old, at most {dataset.max_age_s:,.0f} s are wanted",
        state=State.FIRING if dataset.stale else State.RESOLVED,
        severity=Severity.WARNING if dataset.stale else Severity.INFO,
        details={"dataset": dataset.slug, "age_s": dataset.age_s, "max_age_s": dataset.max_age_s},
    )


def _succeeded(slug: str, generation: Generation) -> Occurrence:
    details = {
        "dataset": slug, "status": "success", "generation": generation.n, "rows_loaded": generation.rows,
        "duration_s": generation.seconds, "run_id": generation.run_id,
    }  # fmt: skip
    return Occurrence(
        kind=Kind.RUN, subject=_subject(slug), state=State.RESOLVED, severity=Severity.INFO, details=details,
        message=f"dataset {slug} was refreshed: {generation.rows or 0:,} rows in {generation.seconds or 0:.1f} s",
    )  # fmt: skip


def _checks(generation: Generation) -> Iterator[Occurrence]:
    table = f"{VIEW_SCHEMA}.{generation.dataset}"
    for check in generation.checks:
        severity = Severity.ERROR if check.blocking else Severity.WARNING
        found = f"{'passed' if check.passed else 'failed'}: {check.message}"
        details = {"run_id": generation.run_id}
        yield check_occurrence(
            table, check.name, found, passed=check.passed, severity=severity, details=details
        )


def _subject(slug: str) -> str:
    return f"dataset {slug}"
