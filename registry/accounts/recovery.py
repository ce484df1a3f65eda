"""Mails to people: a link to set a forgotten password, and one to confirm an address.

Only where a mail server is configured. Who asks for a new password learns nothing of the account: looking it up, and
sending, happen after the answer, which is the same for every address.
"""

import asyncio
import hmac
import logging
import re
from collections.abc import Coroutine
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from dteg.core.errors import ConfigError, DeniedError, DtegError, NotFoundError, UnavailableError
from registry.access import Principal
from registry.accounts.links import Purpose, account_in, is_good, make
from registry.accounts.models import Account
from registry.accounts.passwords import Passwords, check_policy
from registry.accounts.store import AccountStore
from registry.documents import milliseconds
from registry.settings import PREFIX
from registry.tokens.secrets import signing_key

if TYPE_CHECKING:
    from registry.services import Services

_LOG = logging.getLogger(__name__)
# What a mail server takes as one recipient: with a comma it would be two.
_ONE_ADDRESS = re.compile(r"[\w.%+-]+@[\w-]+(\.[\w-]+)+", re.ASCII)
_BETWEEN = timedelta(minutes=5)  # two mails of a kind to one account
_MOST_WAITING = 200
_AT_ONCE = 4
_STOP_S = 5.0
_RESET = """Hello {login},

somebody, probably you, has forgotten the password of this account. Set a new one here, within an hour:

{link}

If it was not you, do nothing: the password stays as it is.
"""
_VERIFY = """Hello {login},

please confirm that this is your address, within three days:

{link}

If you have no account here, do nothing.
"""


class Recovery:
    """Sends links, and does what they are for.

    Args:
        services: All services.
        store: Accounts.
        passwords: Hashes them.
    """

    def __init__(self, services: "Services", store: AccountStore, passwords: Passwords) -> None:
        self._services, self._store, self._passwords = services, store, passwords
        self._key = hmac.digest(signing_key(services.settings.data_dir), b"links in mails", "sha256")
        self._waiting: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(_AT_ONCE)

    @property
    def configured(self) -> bool:
        """Whether this registry sends mails."""
        return self._services.settings.mail_url is not None

    def check(self) -> None:
        """Look at the mail server's address; nothing is sent. Loads Apprise, which takes half a second.

        Raises:
            ConfigError: It is not that of a mail server.
            MissingExtraError: Apprise is not installed.
        """
        from dteg.alerts.channels import AppriseChannel

        if self._services.settings.mail_url is None:
            return
        url = self._services.settings.mail_url.reveal()
        if not url.startswith(("mailto://", "mailtos://")):
            raise ConfigError(f"{PREFIX}MAIL_URL: write mailtos://user:password@host?from=ADDRESS")
        AppriseChannel(url, ("somebody@example.org",)).check()

    async def stop(self) -> None:
        """Wait a little for mails that are under way; who gets none asks again."""
        if self._waiting:
            await asyncio.wait(self._waiting, timeout=_STOP_S)
        for task in self._waiting:
            task.cancel()

    def ask_reset(self, email: str) -> None:
        """Send a link for a new password, if an account has this address; the caller cannot tell.

        Raises:
            NotFoundError: This registry sends no mails.
            UnavailableError: Too many mails wait.
        """
        self._begin(self._send_reset(email.lower()))

    def ask_verification(self, account: Account) -> None:
        """Send a link that confirms an address; raises as `ask_reset`."""
        self._begin(self._send(Purpose.VERIFY, account))

    async def reset(self, text: str, password: str) -> Account:
        """Set a password with a link from a mail; it ends all logins, and the link.

        Raises:
            DeniedError: The link is not good, or no longer.
            InputError: The password is too easy.
        """
        account = await self._account(Purpose.RESET, text)
        check_policy(password, account.login, account.email)
        now = milliseconds(self._services.clock())
        values = {"password_hash": await self._passwords.hash(password), "email_verified_at": now}
        changed = await self._store.change(account, values, end_logins=True, same_email=True)
        await self._services.audit.record(_as(account), "account.reset", account.id)
        return changed

    async def verify(self, text: str) -> Account:
        """Note that an address is confirmed; following the link twice does no harm.

        Raises:
            DeniedError: The link is not good, or no longer.
        """
        account = await self._account(Purpose.VERIFY, text)
        if account.email_verified_at is not None:
            return account
        values = {"email_verified_at": milliseconds(self._services.clock())}
        changed = await self._store.change(account, values, end_logins=False, same_email=True)
        await self._services.audit.record(_as(account), "account.verify", account.id)
        return changed

    async def _account(self, purpose: Purpose, text: str) -> Account:
        found = await self._store.find(id=account_in(text))
        if found is None or not is_good(self._key, purpose, found, text, self._services.clock()):
            raise DeniedError("this link has ended, was used already, or is not complete: ask for a new one")
        return found

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            if not self.configured:
                raise NotFoundError("this registry sends no mails: ask its administrator")
            if len(self._waiting) >= _MOST_WAITING:
                raise UnavailableError("too many mails wait to be sent: try again", retry_after_s=60)
        except DtegError:
            work.close()
            raise
        task = asyncio.create_task(work)
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def _send_reset(self, email: str) -> None:
        account = await self._store.find(email=email)
        if account is not None and account.active:
            await self._send(Purpose.RESET, account)

    async def _send(self, purpose: Purpose, account: Account) -> None:
        now = milliseconds(self._services.clock())
        if not _ONE_ADDRESS.fullmatch(account.email):
            _LOG.warning("no mail to account %s: its address is not one that mail servers take", account.id)
            return
        if not await self._store.may_mail(f"{purpose}|{account.id}|{account.email}", now, _BETWEEN):
            return
        try:
            async with self._turns:
                await asyncio.to_thread(self._post, purpose, account, make(self._key, purpose, account, now))
        except DtegError as error:
            _LOG.warning(
                "a mail to account %s was not sent: %s", account.id, str(error).replace(account.email, "***")
            )

    def _post(self, purpose: Purpose, account: Account, text: str) -> None:
        """Send one mail. Runs in a thread."""
        from dteg.alerts.channels import AppriseChannel, Message

        settings = self._services.settings
        assert settings.mail_url is not None
        link = f"{settings.public_url}/{purpose}?{urlencode({'link': text})}"
        title, body = (
            (f"A new password for {account.login}", _RESET)
            if purpose is Purpose.RESET
            else (f"Confirm the address of {account.login}", _VERIFY)
        )
        message = Message(f"{title} at {settings.public_url}", body.format(login=account.login, link=link))
        AppriseChannel(settings.mail_url.reveal(), (account.email,)).send(message)


def _as(account: Account) -> Principal:
    return Principal(user_id=account.id, login=account.login, credential="mail")
