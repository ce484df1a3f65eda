"""Accounts over HTTP."""

from fastapi import APIRouter, Request

from dteg.webapp.addresses import address_of
from registry.access import Anybody, Principal, Scope, allow
from registry.accounts.models import (
    AccountAnswer,
    AccountChange,
    AccountDeletion,
    Asked,
    Confirmation,
    NewAccount,
    Reset,
    ResetWish,
)
from registry.services import services_of

router = APIRouter(tags=["accounts"])
_OWN = allow(Scope.ACCOUNT)


@router.post("/accounts", status_code=201)
async def create_account(request: Request, new: NewAccount, _: Anybody) -> AccountAnswer:
    """Make an account."""
    return AccountAnswer.of(await services_of(request).accounts.create(new))


@router.get("/account")
async def read_account(request: Request, who: Principal = _OWN) -> AccountAnswer:
    """Return the account that asks."""
    return AccountAnswer.of(await services_of(request).accounts.get(who.user_id))


@router.patch("/account")
async def change_account(request: Request, change: AccountChange, who: Principal = _OWN) -> AccountAnswer:
    """Set a new password or address. A new password ends all logins."""
    account = await services_of(request).accounts.change(who, change, address_of(request))
    return AccountAnswer.of(account)


@router.delete("/account", status_code=204)
async def delete_account(request: Request, deletion: AccountDeletion, who: Principal = _OWN) -> None:
    """Anonymise the account: what it published and wrote stays, without name and address."""
    await services_of(request).accounts.delete(who, deletion.current_password, address_of(request))


@router.post("/accounts/password-reset", status_code=202)
async def ask_reset(request: Request, wish: ResetWish, _: Anybody) -> Asked:
    """Send a link for a new password, where this registry sends mails; the answer is the same for every address."""
    services_of(request).accounts.recovery.ask_reset(wish.email)
    return Asked(detail="if an account has this address, a mail is on its way")


@router.post("/accounts/password-reset/confirm", status_code=204)
async def reset_password(request: Request, reset: Reset, _: Anybody) -> None:
    """Set a password with a link from a mail. It ends all logins."""
    await services_of(request).accounts.recovery.reset(reset.link, reset.password)


@router.post("/account/email/verification", status_code=202)
async def ask_verification(request: Request, who: Principal = _OWN) -> Asked:
    """Send a link that confirms the address of the account that asks."""
    accounts = services_of(request).accounts
    accounts.recovery.ask_verification(await accounts.get(who.user_id))
    return Asked(detail="a mail is on its way")


@router.post("/accounts/email/verification/confirm", status_code=204)
async def verify_email(request: Request, given: Confirmation, _: Anybody) -> None:
    """Confirm an address with a link from a mail."""
    await services_of(request).accounts.recovery.verify(given.link)
