"""A publisher: components, members, keys."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from dteg.core.errors import DtegError
from dteg.webapp.pages import go
from dteg.webkit import FormState
from registry.access import Anybody, Principal, Scope, allow
from registry.namespaces.models import MemberRole, NewKey, NewNamespace
from registry.pages.forms import Posted, read, refusal, state
from registry.pages.publisher import publisher
from registry.pages.rendering import show
from registry.parameters import NamespacePath
from registry.services import services_of

router = APIRouter()
_MANAGE = allow(Scope.NAMESPACE)
_MOST = 200


@router.get("/n/{ns}")
async def namespace(request: Request, ns: NamespacePath, who: Anybody) -> Response:
    """A namespace with its components."""
    return await _namespace(request, who, ns)


@router.post("/account/namespaces")
async def claim(request: Request, form: Posted, who: Principal = _MANAGE) -> Response:
    """Claim a name."""
    from registry.pages.account import account_page

    new, errors = read(NewNamespace, {"name": form.get("name", "")})
    problem = ""
    if new is not None:
        try:
            made = await services_of(request).namespaces.claim(who, new.name)
            return go(f"/n/{made.id}", "namespace")
        except DtegError as error:
            problem = refusal(error)
    return await account_page(request, who, namespace_form=state(form, errors, problem), status=422)


@router.post("/n/{ns}/keys")
async def add_key(request: Request, ns: NamespacePath, form: Posted, who: Principal = _MANAGE) -> Response:
    """Register a key."""
    given = {"public_key": form.get("public_key", ""), "name": form.get("name", "")}
    new, errors = read(NewKey, given)
    if new is None:
        return await _namespace(request, who, ns, state(form, errors))
    try:
        await services_of(request).namespaces.add_key(who, ns, new)
    except DtegError as error:
        return await _namespace(request, who, ns, state(form, problem=refusal(error)))
    return go(f"/n/{ns}", "key-added", "keys")


@router.post("/n/{ns}/keys/revoke")
async def revoke_key(request: Request, ns: NamespacePath, form: Posted, who: Principal = _MANAGE) -> Response:
    """Revoke a key from now on."""
    await services_of(request).namespaces.revoke_key(who, ns, form.get("key_id", ""))
    return go(f"/n/{ns}", "key-revoked", "keys")


@router.post("/n/{ns}/members")
async def set_member(request: Request, ns: NamespacePath, form: Posted, who: Principal = _MANAGE) -> Response:
    """Add a member, or change its role."""
    new, errors = read(MemberRole, {"role": form.get("role", "")})
    login = form.get("login", "")
    if not login:
        errors = {**errors, "login": "Login: fill this in."}
    if new is None or errors:
        return await _namespace(request, who, ns, state(form, errors))
    try:
        await services_of(request).namespaces.set_member(who, ns, login, new.role)
    except DtegError as error:
        return await _namespace(request, who, ns, state(form, problem=refusal(error)))
    return go(f"/n/{ns}", "member", "members")


@router.post("/n/{ns}/members/remove")
async def remove_member(
    request: Request, ns: NamespacePath, form: Posted, who: Principal = _MANAGE
) -> Response:
    """Remove a member, or leave."""
    login = form.get("login", "")
    try:
        await services_of(request).namespaces.remove_member(who, ns, login)
    except DtegError as error:
        return await _namespace(request, who, ns, state({}, problem=refusal(error)))
    return go(f"/n/{ns}", "ownerless" if login == who.login else "member-removed", "members")


async def _namespace(request: Request, who: Principal, ns: str, form: FormState | None = None) -> Response:
    services = services_of(request)
    it = await publisher(request, who, ns)
    ids = await services.components.ids(f"{ns}/", _MOST)
    components = await services.components.many([each for each in ids if each.startswith(f"{ns}/")])
    return show(
        request, who, "namespace.html", status=422 if form else 200, it=it, tab="components", form=form or FormState(),
        components=[each for each in components if each.listed or it.role is not None],
    )  # fmt: skip
