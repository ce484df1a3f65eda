"""Who may publish where."""

from typing import TYPE_CHECKING

from dteg.core.errors import ConflictError, DeniedError, InputError, NotFoundError
from dteg.signing import SignatureError, key_id_of
from registry.access import Principal, Role, Scope
from registry.documents import milliseconds
from registry.identifiers import skeleton
from registry.namespaces.models import (
    MAX_KEYS,
    MAX_MEMBERS,
    KeyAnswer,
    Member,
    MemberAnswer,
    Namespace,
    NamespaceAnswer,
    NewKey,
    PublisherKey,
)
from registry.namespaces.store import INDEXES, NamespaceStore
from registry.service import Service

if TYPE_CHECKING:
    from registry.services import Services

# First-party, names that a page or file has, and names that promise something; administrators may claim them.
RESERVED = frozenset(
    """
    admin api core dagster dbt dteg example examples first files help index local marketplace none
    null official pypi python registry root search security simple static stdlib studio support
    system test trusted undefined users verified www
    """.split()  # noqa: SIM905 - words read better as a text
)
MAX_PER_ACCOUNT = 50


class Namespaces(Service):
    """Claims names, and keeps members and keys."""

    INDEXES = INDEXES

    def __init__(self, services: "Services") -> None:
        super().__init__(services)
        self._store = NamespaceStore(self.database)

    async def claim(self, who: Principal, name: str) -> Namespace:
        """Make a namespace that belongs to who asks.

        Raises:
            ConflictError: The name, or one that looks like it, is taken or reserved.
            DeniedError: The credential is limited to something else.
        """
        if not who.covers(name):
            raise DeniedError(f"this credential is not good for the namespace {name!r}")
        if skeleton(name) in _RESERVED_LOOKS and not who.may(Scope.ADMIN):
            raise ConflictError(f"the namespace {name!r} is reserved: choose another name")
        if len(await self._store.with_member(who.user_id)) >= MAX_PER_ACCOUNT:
            raise ConflictError(f"an account has at most {MAX_PER_ACCOUNT} namespaces")
        namespace = Namespace(
            id=name, look=skeleton(name), members=[Member(user=who.user_id, role=Role.OWNER)],
            created_at=milliseconds(self.clock()), created_by=who.user_id,
        )  # fmt: skip
        await self._store.insert(namespace)
        await self.services.audit.record(who, "namespace.claim", name)
        return namespace

    async def get(self, name: str) -> Namespace:
        """Return a namespace.

        Raises:
            NotFoundError: There is none.
        """
        namespace = await self._store.find(name)
        if namespace is None:
            raise NotFoundError(f"there is no namespace {name!r}")
        return namespace

    async def of(self, user_id: str) -> list[Namespace]:
        """Return the namespaces that an account is a member of."""
        return await self._store.with_member(user_id)

    async def require(self, who: Principal, name: str, role: Role, component: str = "") -> Namespace:
        """Return a namespace in which who asks has at least a role.

        Args:
            who: Who asks.
            name: The namespace.
            role: The least role.
            component: `namespace/slug` if it is about one component: a credential may be limited to one.

        Raises:
            DeniedError: No such role, or the credential is limited to something else.
            NotFoundError: There is no such namespace.
        """
        if not who.known:
            raise DeniedError("log in first: dteg login", authenticate=True)
        if not who.covers(name, component):
            limit = who.component or who.namespace
            raise DeniedError(f"this credential is good for {limit!r} only")
        namespace = await self._store.find(name)
        if namespace is None:
            raise NotFoundError(
                f"there is no namespace {name!r}; make it yours with: dteg namespace create {name}"
            )
        mine = namespace.role_of(who.user_id)
        if mine is None or not mine.includes(role):
            raise DeniedError(
                f"you need the role {role.value!r} in the namespace {name!r}: ask one of its owners"
            )
        return namespace

    async def set_member(self, who: Principal, name: str, login: str, role: Role) -> Namespace:
        """Add a member or change its role.

        Raises:
            DeniedError: Who asks is no owner.
            NotFoundError: There is no such namespace or account.
            ConflictError: It is the last owner, or there are too many members.
        """
        await self._require_owner(who, name)
        account = await self.services.accounts.by_login(login)
        namespace = await self._store.add_member(name, account.id, role)
        if namespace is None:
            namespace = await self._store.set_role(name, account.id, role)
        if namespace is None:
            raise await self._why_not(name, account.id, login)
        await self.services.audit.record(who, "namespace.member", name, user=account.id, role=role.value)
        return namespace

    async def remove_member(self, who: Principal, name: str, login: str) -> None:
        """Remove a member; everybody may remove themselves.

        Raises:
            DeniedError: Who asks is no owner.
            NotFoundError: There is no such namespace or member.
            ConflictError: It is the last owner.
        """
        if login == who.login:
            await self.require(who, name, Role.READER)
        else:
            await self._require_owner(who, name)
        account = await self.services.accounts.by_login(login)
        if await self._store.remove_member(name, account.id) is None:
            raise await self._why_not(name, account.id, login)
        await self.services.audit.record(who, "namespace.leave", name, user=account.id)

    async def add_key(self, who: Principal, name: str, new: NewKey) -> PublisherKey:
        """Register a key that releases may be signed with from now on.

        Raises:
            DeniedError: Who asks is no owner.
            InputError: It is no Ed25519 key.
            ConflictError: It is registered or revoked already, or there are too many.
        """
        await self.require(who, name, Role.OWNER)
        key = PublisherKey(
            kid=_key_id(new.public_key), public=new.public_key, name=new.name,
            from_at=milliseconds(self.clock()), added_by=who.user_id,
        )  # fmt: skip
        if await self._store.add_key(name, key) is None:
            raise ConflictError(
                f"this key is known here already, and a revoked one stays revoked; or there are {MAX_KEYS} keys"
            )
        await self.services.audit.record(who, "namespace.key", name, key_id=key.kid)
        return key

    async def revoke_key(self, who: Principal, name: str, kid: str) -> None:
        """Refuse what a key signs from now on; what it signed before stays good.

        Raises:
            DeniedError: Who asks is no owner.
            NotFoundError: There is no such key that is still good.
        """
        await self.require(who, name, Role.OWNER)
        if await self._store.end_key(name, kid, milliseconds(self.clock())) is None:
            raise NotFoundError(f"the namespace {name!r} has no good key {kid!r}")
        await self.services.audit.record(who, "namespace.key-revoke", name, key_id=kid)

    async def set_verified(self, who: Principal, name: str, verified: bool) -> Namespace:
        """Say whether it is known who is behind a namespace.

        Raises:
            DeniedError: Who asks is no administrator.
            NotFoundError: There is no such namespace.
        """
        if not who.may(Scope.ADMIN):
            raise DeniedError("only an administrator may do this")
        namespace = await self._store.set_verified(name, verified)
        if namespace is None:
            raise NotFoundError(f"there is no namespace {name!r}")
        await self.services.audit.record(who, "namespace.verified", name, verified=verified)
        await self.services.components.refresh_namespace(name)
        return namespace

    async def refuse_orphans(self, user_id: str) -> None:
        """Refuse to go on if an account is the last owner of a namespace.

        Raises:
            ConflictError: It is; the message names them.
        """
        mine = [
            namespace
            for namespace in await self._store.with_member(user_id)
            if _last_owner(namespace, user_id)
        ]
        if mine:
            names = ", ".join(namespace.id for namespace in mine)
            raise ConflictError(f"you are the last owner of {names}: make somebody else owner first")

    async def leave_all(self, user_id: str) -> None:
        """Remove an account from all namespaces where it is not the last owner."""
        for namespace in await self._store.with_member(user_id):
            await self._store.remove_member(namespace.id, user_id)

    async def answer(self, namespace: Namespace, who: Principal) -> NamespaceAnswer:
        """Return what who asks may see."""
        member = namespace.role_of(who.user_id) is not None and who.covers(namespace.id, who.component)
        shown = [each for each in namespace.members if member or each.role is not Role.READER]
        logins = await self.services.accounts.logins([each.user for each in shown])
        return NamespaceAnswer(
            name=namespace.id,
            verified=namespace.verified,
            members=[MemberAnswer(login=logins.get(each.user, ""), role=each.role) for each in shown],
            keys=[key_answer(key) for key in namespace.keys],
            created_at=namespace.created_at,
        )

    async def _require_owner(self, who: Principal, name: str) -> None:
        """Let owners pass, and administrators: a namespace may have lost its owners."""
        if not who.may(Scope.ADMIN):
            await self.require(who, name, Role.OWNER)

    async def _why_not(self, name: str, user_id: str, login: str) -> Exception:
        namespace = await self.get(name)
        if namespace.role_of(user_id) is None:
            if len(namespace.members) >= MAX_MEMBERS:
                return ConflictError(f"a namespace has at most {MAX_MEMBERS} members")
            return NotFoundError(f"{login!r} is no member of {name!r}")
        return ConflictError(f"{login!r} is the last owner of {name!r}: make somebody else owner first")


def key_answer(key: PublisherKey) -> KeyAnswer:
    """Return a key as everybody sees it."""
    return KeyAnswer(
        key_id=key.kid, public_key=key.public, name=key.name, from_at=key.from_at, to_at=key.to_at
    )


def _last_owner(namespace: Namespace, user_id: str) -> bool:
    owners = [member.user for member in namespace.members if member.role is Role.OWNER]
    return owners == [user_id]


def _key_id(public: str) -> str:
    try:
        return key_id_of(public)
    except SignatureError:
        raise InputError("public_key: write the base64 of the 32 raw bytes of an Ed25519 key") from None


_RESERVED_LOOKS = frozenset(skeleton(name) for name in RESERVED)
