"""What all pages of one publisher share."""

from dataclasses import dataclass

from fastapi import Request

from registry.access import Principal, Role
from registry.namespaces.models import NamespaceAnswer
from registry.services import services_of

_MOST = 200


@dataclass(frozen=True, slots=True)
class Publisher:
    """A namespace as its pages show it.

    Attributes:
        namespace: Itself.
        role: What the one who looks is in it.
    """

    namespace: NamespaceAnswer
    role: Role | None

    @property
    def path(self) -> str:
        """Address of its page."""
        return f"/n/{self.namespace.name}"

    @property
    def maintained(self) -> bool:
        """Whether who looks maintains it."""
        return self.role is not None and self.role.includes(Role.MAINTAINER)

    @property
    def owned(self) -> bool:
        """Whether who looks owns it."""
        return self.role is Role.OWNER


async def paid_components(request: Request, ns: str) -> list[str]:
    """Return the names of the components of a namespace that cost something."""
    components = services_of(request).components
    ids = await components.ids(f"{ns}/", _MOST)
    found = await components.many([each for each in ids if each.startswith(f"{ns}/")])
    return [each.slug for each in found if each.pricing.get("model", "free") != "free"]


async def publisher(request: Request, who: Principal, ns: str, *, least: Role | None = None) -> Publisher:
    """Return a namespace for its pages.

    Args:
        request: For the services.
        who: Who looks.
        ns: Its name.
        least: The role that the page is for; None for everybody.

    Raises:
        NotFoundError: There is no such namespace.
        DeniedError: Who looks has no such role.
    """
    namespaces = services_of(request).namespaces
    found = await (namespaces.get(ns) if least is None else namespaces.require(who, ns, least))
    role = found.role_of(who.user_id) if who.known and who.covers(ns) else None
    return Publisher(await namespaces.answer(found, who), role)
