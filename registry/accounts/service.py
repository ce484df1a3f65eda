"""People and their passwords."""

import asyncio
import hashlib
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from dteg.core.errors import ConflictError, DeniedError, InputError, NotFoundError
from dteg.webapp.problems import LimitedError
from registry.access import Principal
from registry.accounts.models import Account, AccountChange, NewAccount
from registry.accounts.passwords import Passwords, check_policy
from registry.accounts.recovery import Recovery
from registry.accounts.store import INDEXES, AccountStore
from registry.documents import milliseconds
from registry.identifiers import new_id, skeleton
from registry.service import Service

if TYPE_CHECKING:
    from registry.services import Services

RESERVED = frozenset(
    """
    about abuse account accounts admin administrator anonymous api audit deleted dteg help info join
    legal login logout me moderator nobody null official owner postmaster register registry root
    search security settings static status support system team undefined user users webmaster www
    """.split()  # noqa: SIM905 - words read better as a text
)
FREE_TRIES = 5
_FIRST_WAIT = timedelta(seconds=2)
_LONGEST_WAIT = timedelta(minutes=15)
_REMEMBER = timedelta(hours=1)


class Accounts(Service):
    """Makes, checks, changes and deletes accounts.

    Attributes:
        recovery: Forgotten passwords, and addresses that are confirmed.
    """

    INDEXES = INDEXES

    def __init__(self, services: "Services") -> None:
        super().__init__(services)
        self._store = AccountStore(self.database)
        self._passwords = Passwords()
        self.recovery = Recovery(services, self._store, self._passwords)

    async def start(self) -> None:
        """Refuse to begin with a mail server that cannot be one."""
        await asyncio.to_thread(self.recovery.check)

    async def stop(self) -> None:
        """Send the mails that are under way."""
        await self.recovery.stop()

    async def create(self, new: NewAccount, *, is_admin: bool = False) -> Account:
        """Make an account.

        Raises:
            ConflictError: The login, one that looks like it, or the address is taken or reserved.
            InputError: The password is too easy.
            DeniedError: This registry makes no accounts for everybody.
        """
        if not (self.settings.open_accounts or is_admin):
            raise DeniedError("this registry is closed: ask its administrator for an account")
        email = new.email.lower()
        if not is_admin and skeleton(new.login) in _RESERVED_LOOKS:
            raise ConflictError(f"the login {new.login!r} is reserved: choose another")
        check_policy(new.password, new.login, email)
        account = Account(
            id=new_id(), login=new.login, look=_look(new.login), email=email, is_admin=is_admin,
            password_hash=await self._passwords.hash(new.password), created_at=milliseconds(self.clock()),
        )  # fmt: skip
        await self._store.insert(account)
        who = Principal(user_id=account.id, login=account.login)
        await self.services.audit.record(who, "account.create", account.id, admin=is_admin)
        if self.recovery.configured and not is_admin:
            self.recovery.ask_verification(account)
        return account

    async def get(self, user_id: str) -> Account:
        """Return an account by its id, deleted ones too.

        Raises:
            NotFoundError: There is none.
        """
        account = await self._store.find(id=user_id)
        if account is None:
            raise NotFoundError("there is no such account")
        return account

    async def by_login(self, login: str) -> Account:
        """Return an account that is not deleted, by its login.

        Raises:
            NotFoundError: There is none.
        """
        account = await self._store.find(login=login)
        if account is None or not account.active:
            raise NotFoundError(f"there is no account {login!r}")
        return account

    async def any_admin(self) -> bool:
        """Return whether somebody administers the registry."""
        return await self._store.any_admin()

    async def logins(self, user_ids: list[str]) -> dict[str, str]:
        """Return the login of each id that exists."""
        return await self._store.logins(user_ids)

    async def authenticate(self, login: str, password: str, address: str) -> Account:
        """Return the account behind a login and password.

        Unknown logins take as long as wrong passwords. After some failures from one address each next try must wait,
        twice as long each time; others can still log in, so nobody can lock somebody out.

        Raises:
            DeniedError: Not this login and password.
            LimitedError: Too many failures.
        """
        now = self.clock()
        key = hashlib.sha256(f"{login.lower()}|{address}".encode()).hexdigest()
        _, next_at = await self._store.failures(key, now)
        if next_at is not None and next_at > now:
            raise LimitedError("too many failed logins: wait", retry_after_s=(next_at - now).total_seconds())
        found = await self._store.find(login=login)
        account = found if found is not None and found.active else None
        if (
            not await self._passwords.matches(account.password_hash if account else "", password)
            or not account
        ):
            await self._count_failure(key, now)
            raise DeniedError("wrong login or password", authenticate=True)
        await self._store.succeeded(key)
        if self._passwords.is_outdated(account.password_hash):
            fresh = {"password_hash": await self._passwords.hash(password)}
            account = await self._store.change(account, fresh, end_logins=False)
        return account

    async def change(self, who: Principal, change: AccountChange, address: str) -> Account:
        """Set a new password or address; a new password ends all logins.

        Raises:
            DeniedError: The present password is wrong.
            InputError: The new password is too easy.
            ConflictError: Another account has the address.
        """
        account = await self.authenticate(who.login, change.current_password, address)
        values: dict[str, Any] = {}
        if change.email is not None:
            values |= {"email": change.email.lower(), "email_verified_at": None}
        if change.password is not None:
            check_policy(change.password, account.login, account.email)
            values["password_hash"] = await self._passwords.hash(change.password)
        if not values:
            raise InputError("nothing to change: give a password or an email")
        account = await self._store.change(account, values, end_logins=change.password is not None)
        await self.services.audit.record(who, "account.change", account.id, fields=",".join(values))
        return account

    async def set_password(self, login: str, password: str) -> Account:
        """Set a password without the present one: for who administers this machine."""
        account = await self.by_login(login)
        check_policy(password, account.login, account.email)
        values = {"password_hash": await self._passwords.hash(password)}
        return await self._store.change(account, values, end_logins=True)

    async def delete(self, who: Principal, password: str, address: str) -> None:
        """Anonymise an account: what it published and wrote stays, without name and address.

        Raises:
            DeniedError: The password is wrong.
            ConflictError: It is the last owner of a namespace.
        """
        account = await self.authenticate(who.login, password, address)
        # Names first: whatever a crash leaves of the rest belongs to an account that can no longer log in.
        await self.services.namespaces.refuse_orphans(account.id)
        gone = f"deleted-{account.id[-10:]}"
        values = {
            "login": gone, "email": f"{gone}@invalid", "password_hash": "", "status": "deleted", "is_admin": False,
        }  # fmt: skip
        await self._store.change(account, values, end_logins=True)
        await self.services.tokens.remove_all(account.id)
        await self.services.namespaces.leave_all(account.id)
        await self.services.audit.record(who, "account.delete", account.id)

    async def sweep(self) -> None:
        """Forget failures that no longer count."""
        await self._store.sweep(self.clock())

    async def _count_failure(self, key: str, now: datetime) -> None:
        count = await self._store.failed(key, now, _REMEMBER)
        if count >= FREE_TRIES:
            wait = min(_FIRST_WAIT * 2 ** min(count - FREE_TRIES, 20), _LONGEST_WAIT)
            await self._store.block(key, now + wait)


def _look(login: str) -> str:
    """Return a hash, as what remains of a deleted account must not hold its name."""
    return hashlib.sha256(skeleton(login).encode()).hexdigest()


_RESERVED_LOOKS = frozenset(skeleton(name) for name in RESERVED)
