"""Flat files taken apart in the browser: send one, look at its tables, load them."""

from collections.abc import Mapping
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dteg.core.errors import DtegError, NotFoundError
from dteg.normalize.decompose import exceptions_name
from dteg.normalize.service import NormalizeRequest, NormalizeResult
from dteg.tables.requests import checked, settings_in
from dteg.webapp.forms import refusal, state
from dteg.webapp.pages import go
from dteg.webkit import FormState
from studio.access import Scope, allow
from studio.normalize.drawing import drawing
from studio.normalize.routes import UploadId, run
from studio.rendering import Posted, show
from studio.services import services_of
from studio.uploads import require_file

NAVIGATION = ("Normalize", "/normalize")
LONG = (r"/normalize", r"/normalize/[0-9a-f]+")
router = APIRouter(prefix="/normalize")
_WRITE = [allow(Scope.WRITE)]
SHOWN_REFUSED = 12
_OPTIONS = ("form", "lists", "determinants", "name", "encoding", "delimiter", "sheet", "records_path")
_OF_FILE = _OPTIONS[4:]
FORMS = [("3NF", "Third normal form"), ("BCNF", "Boyce-Codd normal form")]
DETERMINANTS = [
    ("1", "one column"),
    ("2", "up to two columns"),
    ("3", "up to three columns: slower, and finds more by chance"),
]
LISTS = [
    ("sure", "become tables where they can be nothing else: red; new, or phone1, phone2"),
    ("all", "all with commas, and all numbered columns, too"),
    ("none", "leave them as they are"),
]


@router.get("", dependencies=_WRITE)
def upload_form(request: Request) -> Response:
    """The form for a file."""
    return _form(request, FormState())


@router.post("", dependencies=_WRITE)
async def upload(request: Request, form: Posted) -> Response:
    """Take a file in, and lead to its tables."""
    sent = await request.form()
    try:
        _wanted(form)  # what is wrong is said before the file is sent
        made = await require_file(services_of(request).project, sent)
    except DtegError as error:
        return _form(request, state(form, problem=refusal(error)))
    finally:
        await sent.close()
    return go(f"/normalize/{made.id}?{urlencode({name: form[name] for name in _OPTIONS if form.get(name)})}")


@router.get("/{upload_id}", dependencies=_WRITE)
def look(request: Request, upload_id: UploadId) -> Response:
    """What the file becomes; nothing is kept yet."""
    return _look(request, upload_id, request.query_params)


@router.post("/{upload_id}", dependencies=_WRITE)
def load(request: Request, upload_id: UploadId, form: Posted) -> Response:
    """Load the tables."""
    values = {name: text for name, text in form.items() if name != "csrf"}
    if not values.get("into"):
        return _look(request, upload_id, values, "Say the schema that the tables shall go to.")
    try:
        wanted = _wanted(values).model_copy(update={"into": values["into"]})
        result = run(services_of(request), upload_id, wanted)
    except NotFoundError:
        raise
    except DtegError as error:
        return _look(request, upload_id, values, refusal(error))
    return _show(request, upload_id, result, FormState())


def _wanted(values: Mapping[str, str]) -> NormalizeRequest:
    given = {name: values[name] for name in _OPTIONS if values.get(name)}
    options = settings_in([f"{name}={given.pop(name)}" for name in _OF_FILE if name in given])
    return checked(NormalizeRequest, **given, options=options)


def _look(request: Request, upload_id: str, values: Mapping[str, str], problem: str = "") -> Response:
    """Show what the file becomes without loading it."""
    try:
        result = run(services_of(request), upload_id, _wanted(values))
    except NotFoundError:
        raise
    except DtegError as error:
        return _form(request, state(values, problem=refusal(error)))
    return _show(
        request,
        upload_id,
        result,
        state({"into": result.plan.root.name.removesuffix("_rows"), **values}, problem=problem),
    )


def _show(request: Request, upload_id: str, result: NormalizeResult, form: FormState) -> Response:
    refused = sorted(
        result.plan.refused, key=lambda each: (len(each.dependency.determinant), -each.dependency.support)
    )
    return show(
        request, "normalize_result.html", status=422 if form.problem else 200, result=result, plan=result.plan,
        proof=result.proof, upload=upload_id, picture=drawing(result.plan), form=form, refused=refused[:SHOWN_REFUSED],
        options=_OPTIONS, exceptions=exceptions_name(result.plan),
    )  # fmt: skip


def _form(request: Request, form: FormState) -> Response:
    limit_mb = services_of(request).settings.max_upload_mb
    return show(
        request, "normalize_form.html", status=422 if form.problem else 200, form=form, forms=FORMS, lists=LISTS, determinants=DETERMINANTS,
        limit_mb=limit_mb,
    )  # fmt: skip
