"""Questions in words in the browser: see the SQL and what the gate says, run it, keep it as an example."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from dteg.core.errors import DtegError, InputError, NotFoundError
from dteg.metadata.ask import Answer
from dteg.metadata.reports import Verdict
from dteg.metadata.service import Metadata
from dteg.webapp.forms import refusal, state
from dteg.webapp.pages import go
from dteg.webkit import FormState
from studio.access import Scope, allow
from studio.rendering import Posted, show
from studio.services import Services, services_of

NAVIGATION = ("Ask", "/metadata")
DONE = {
    "example-saved": "The example is kept in metadata/examples.yaml; the next collection publishes it.",
    "metadata-collected": "Collected: what is known is as new as the database.",
}
LONG = (r"/metadata", r"/metadata/(run|collect)")
SHOWN_EXAMPLES = 20
_SOURCE = "warehouse"
_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}")
_MOST_SOURCES = 20
router = APIRouter(prefix="/metadata")
_READ, _WRITE = [allow(Scope.READ)], [allow(Scope.WRITE)]


@router.get("", dependencies=_READ)
def page(
    request: Request, question: Annotated[str, Query(max_length=2_000)] = "",
    source: Annotated[str, Query(max_length=63)] = _SOURCE,
) -> Response:  # fmt: skip
    """The form, and questions whose SQL was proved."""
    return _show(request, state({"question": question, "source": source}))


@router.post("", dependencies=_WRITE)
def ask(request: Request, form: Posted) -> Response:
    """Answer a question; nothing is run."""
    askers = services_of(request).askers
    try:
        with askers.turn():
            answer = askers.of(_source(form)).ask(form.get("question", ""))
    except DtegError as error:
        return _show(request, state(form, problem=refusal(error)))
    return _show(request, state(form), answer=answer)


@router.post("/run", dependencies=_WRITE)
def run(request: Request, form: Posted) -> Response:
    """Run the SQL that was shown. It comes from a form, so the gate looks at it as at any other."""
    askers = services_of(request).askers
    try:
        if not form.get("sql", "").strip():
            raise InputError("there is no SQL to run")
        with askers.turn():
            verdict = askers.of(_source(form)).check(form["sql"], run=True)
    except DtegError as error:
        return _show(request, state(form, problem=refusal(error)))
    if verdict.status != "valid":
        return _show(request, state(form, problem=f"It was not run: {verdict.why}."))
    origin: Any = form.get("origin") if form.get("origin") in ("model", "example") else "model"
    answer = Answer(
        question=form.get("question", "")[:2_000], origin=origin, sql=verdict.sql, tables=verdict.tables,
        explanation=form.get("explanation", "")[:2_000], verdict=verdict, columns=verdict.columns, rows=verdict.rows,
    )  # fmt: skip
    return _show(request, state(form), answer=answer)


@router.post("/examples", dependencies=_WRITE)
def save(request: Request, form: Posted) -> Response:
    """Keep a question and its SQL as an example."""
    try:
        metadata = Metadata.of(services_of(request).project)
        metadata.add_example(form.get("question", ""), form.get("sql", ""), _source(form))
    except DtegError as error:
        return _show(request, state(form, problem=refusal(error)))
    return go("/metadata", "example-saved")


@router.post("/collect", dependencies=_WRITE)
def collect(request: Request, form: Posted) -> Response:
    """Collect a source, so that it can be asked about."""
    source = _source(form)
    try:
        Metadata.of(services_of(request).project).collect(source)
    except DtegError as error:
        return _show(request, state(form, problem=refusal(error)))
    return go("/metadata" if source == _SOURCE else f"/metadata?source={source}", "metadata-collected")


def _source(form: Mapping[str, Any]) -> str:
    """Return which source is asked; the warehouse, if the form says nothing that could be one."""
    found = str(form.get("source") or _SOURCE)
    return found if _NAME.fullmatch(found) else _SOURCE


def _collected(services: Services, chosen: str) -> list[str]:
    """Return the names of sources that have a cache."""
    names = Metadata.of(services.project).sources()[:_MOST_SOURCES]
    return [name for name in names if name == chosen or services.askers.of(name).client.is_cache_available()]


def _show(request: Request, form: FormState, answer: Answer | None = None) -> Response:
    services = services_of(request)
    source = _source(form.given)
    client = services.askers.of(source).client
    cache: dict[str, Any] | None = None
    examples: tuple[Any, ...] = ()
    try:
        cache, examples = client.get_cache_metadata(), client.get_few_shot_examples(k=SHOWN_EXAMPLES)
    except NotFoundError:
        pass  # nothing was collected yet: the page says how
    except DtegError as error:
        form = replace(form, problem=refusal(error))
    verdict: Verdict | None = answer.verdict if answer else None
    return show(
        request, "metadata_ask.html", status=422 if form.problem else 200, form=form, answer=answer, verdict=verdict,
        cache=cache, examples=examples, source=source, sources=[(name, name) for name in _collected(services, source)],
    )  # fmt: skip
