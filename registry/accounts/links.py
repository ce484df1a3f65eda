"""Links in mails: signed, good for a while, and tied to what the account is now, so that using one ends it."""

import base64
import hmac
import re
from datetime import datetime, timedelta
from enum import StrEnum

from registry.accounts.models import Account

_FORM = re.compile(r"([0-9a-z]{26})\.(\d{1,12})\.([\w-]{43})", re.ASCII)


class Purpose(StrEnum):
    """What a link is for."""

    RESET = "reset"
    VERIFY = "verify"


LIVES = {Purpose.RESET: timedelta(hours=1), Purpose.VERIFY: timedelta(days=3)}


def make(key: bytes, purpose: Purpose, account: Account, now: datetime) -> str:
    """Return the text that a link carries.

    Args:
        key: Secret of the registry, used for nothing else.
        purpose: What the link is for.
        account: Whose.
        now: The present time.
    """
    ends = int((now + LIVES[purpose]).timestamp())
    return f"{account.id}.{ends}.{_signature(key, purpose, account, ends)}"


def account_in(text: str) -> str:
    """Return the account that a link names, which may be a lie; "" if it is no link."""
    match = _FORM.fullmatch(text)
    return match[1] if match else ""


def is_good(key: bytes, purpose: Purpose, account: Account, text: str, now: datetime) -> bool:
    """Return whether a link was made for this purpose and account as it is now, and has not ended."""
    match = _FORM.fullmatch(text)
    if match is None or match[1] != account.id or not account.active:
        return False
    expected = _signature(key, purpose, account, int(match[2]))
    return hmac.compare_digest(expected, match[3]) and now.timestamp() < int(match[2])


def _signature(key: bytes, purpose: Purpose, account: Account, ends: int) -> str:
    # A new password counts the version up, and a new address is another one: both end all links of before.
    version = account.credentials_version if purpose is Purpose.RESET else 0
    said = f"{purpose}|{account.id}|{ends}|{version}|{account.email}"
    return base64.urlsafe_b64encode(hmac.digest(key, said.encode(), "sha256")).decode().rstrip("=")
