"""Pruning in the browser: first what would go, then the button."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dteg.core.errors import DtegError
from dteg.pruning.models import PruneOrder, PruneReport
from dteg.pruning.service import Pruning
from dteg.webapp.forms import read, refusal, state
from dteg.webkit import FormState
from studio.access import Scope, allow
from studio.rendering import Posted, show
from studio.services import services_of

NAVIGATION = ("Pruning", "/pruning")
LONG = (r"/pruning",)
router = APIRouter(prefix="/pruning", dependencies=[allow(Scope.ADMIN)])


@router.get("")
def ask(request: Request) -> Response:
    """The form."""
    return show(request, "pruning_form.html", form=FormState(), report=None)


@router.post("")
def prune(request: Request, form: Posted) -> Response:
    """Count, or remove."""
    wanted = {"older_than": form.get("older_than") or "30d", "dry_run": form.get("do") != "remove"}
    order, errors = read(PruneOrder, wanted)
    report: PruneReport | None = None
    shown = state(form, errors)
    if order is not None:
        try:
            report = Pruning.of(services_of(request).project).prune(order)
        except DtegError as error:
            shown = state(form, problem=refusal(error))
    return show(request, "pruning_form.html", status=200 if report else 422, form=shown, report=report)
