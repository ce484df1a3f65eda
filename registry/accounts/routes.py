"""Accounts over HTTP."""

from fastapi import APIRouter, Request

from dteg.webapp.addresses import address_of
from registry.access import Anybody, Principal, Scope, allow
from registry.accounts.models import AccountAnswer, AccountChange, AccountDeletion, NewAccount
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
