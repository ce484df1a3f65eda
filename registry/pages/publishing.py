"""Publishing from the browser: a wheel and its signature."""

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.datastructures import UploadFile

from dteg.core.errors import DtegError, InputError
from dteg.packages import MAX_PACKED_BYTES, PackageError
from dteg.webapp.pages import go
from dteg.webkit import FormState
from registry.access import Principal, Role, Scope, allow
from registry.blobs.incoming import incoming
from registry.pages.forms import Posted, refusal
from registry.pages.rendering import show
from registry.releases.uploads import MAX_ENVELOPE_BYTES, chunks_of, envelope_in
from registry.services import services_of

router = APIRouter()
_PUBLISH = allow(Scope.PUBLISH)


@router.get("/publish")
async def publish_form(request: Request, who: Principal = _PUBLISH) -> Response:
    """How to publish, and the form."""
    return await _page(request, who)


@router.post("/publish")
async def publish(request: Request, *, who: Principal = _PUBLISH, form: Posted) -> Response:
    """Take a wheel in, and lead to its gates."""
    services = services_of(request)
    sent = await request.form()
    try:
        wheel, envelope = sent.get("wheel"), envelope_in(await _signature(sent.get("signature"), form))
        if not isinstance(wheel, UploadFile) or not wheel.size:
            raise InputError("choose the wheel: the file that ends in .whl")
        async with incoming(
            chunks_of(wheel), services.settings.data_dir / "uploads", MAX_PACKED_BYTES
        ) as file:
            release = await services.releases.publish(who, file.path, envelope)
    except PackageError as error:
        return await _page(request, who, FormState(problem="The wheel breaks rules."), error)
    except DtegError as error:
        return await _page(request, who, FormState(problem=refusal(error)))
    finally:
        await sent.close()
    return go(f"/c/{release.component}/gates/{release.version}", "published")


async def _signature(file: object, form: dict[str, str]) -> str:
    """Return the text of the signature, from its file or its field."""
    if isinstance(file, UploadFile) and file.size:
        return (await file.read(MAX_ENVELOPE_BYTES)).decode("utf-8", "replace")
    text = form.get("signature_text", "")
    if not text:
        raise InputError("choose the signature: the file that `dteg publish --out` wrote beside the wheel")
    return text[:MAX_ENVELOPE_BYTES]


async def _page(
    request: Request, who: Principal, form: FormState | None = None, broken: PackageError | None = None
) -> Response:
    mine = await services_of(request).namespaces.of(who.user_id)
    fit = [each for each in mine if (role := each.role_of(who.user_id)) and role.includes(Role.MAINTAINER)]
    return show(
        request, who, "publish.html", status=422 if form else 200, namespaces=fit, form=form or FormState(),
        now=services_of(request).clock(),
        broken=list(broken.problems) if broken else [],
    )  # fmt: skip
