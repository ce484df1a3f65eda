"""Entitlements: a signed text that says which organisation may download what until when.

It is a DSSE envelope by the registry's key, so a client or a mirror without connection can check it with the keys of
`GET /keys`. The registry itself also looks whether the licence still holds.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from dteg.core.errors import DeniedError
from dteg.signing import SignatureError, SigningKey, canonical_json, statement, verify
from registry.licences.models import Licence

ENTITLEMENT = "https://dteg.dev/attestation/entitlement/v1"
HEADER = "x-dteg-entitlement"
_PREFIX = "dtegent_"
_MAX_TOKEN = 4_000


class Entitlement(BaseModel):
    """What it says.

    Attributes:
        licence: Key of the licence.
        component: `namespace/slug`.
        organisation: Whose members.
        user: Account that asked for it.
        issued_at: When.
        expires_at: Until when it is good.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    licence: str
    component: str
    organisation: str
    user: str
    issued_at: AwareDatetime
    expires_at: AwareDatetime


def entitlement_in(headers: Mapping[str, str]) -> str:
    """Return the entitlement in a request, "" without: its own header, or the password that pip and uv send."""
    if given := headers.get(HEADER, ""):
        return given
    kind, _, value = headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        password = base64.b64decode(value, validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
    return password if password.startswith(_PREFIX) else ""


def make(key: SigningKey, licence: Licence, user_id: str, now: datetime, expires_at: datetime) -> str:
    """Return an entitlement as one line of text."""
    said = Entitlement(
        licence=licence.key, component=licence.component, organisation=licence.organisation, user=user_id,
        issued_at=now, expires_at=expires_at,
    )  # fmt: skip
    subject = hashlib.sha256(licence.key.encode()).hexdigest()
    signed = statement(f"licence:{licence.key}", subject, ENTITLEMENT, said.model_dump(mode="json"))
    return _PREFIX + base64.urlsafe_b64encode(canonical_json(key.sign(signed))).decode().rstrip("=")


def read(token: str, keys: Mapping[str, str], now: datetime) -> Entitlement:
    """Return what an entitlement says.

    Args:
        token: The text.
        keys: The registry's public keys by id.
        now: The present time.

    Raises:
        DeniedError: It is not ours, altered or expired.
    """
    wrong = DeniedError("this entitlement is not one of this registry: ask for a new one")
    if not token.startswith(_PREFIX) or len(token) > _MAX_TOKEN:
        raise wrong
    text = token.removeprefix(_PREFIX)
    try:
        envelope: Any = json.loads(
            base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        )
        found = verify(envelope, keys)
        if found["predicateType"] != ENTITLEMENT:
            raise wrong
        entitlement = Entitlement.model_validate(found["predicate"])
    except (binascii.Error, ValueError, RecursionError, SignatureError, ValidationError):
        raise wrong from None
    if now >= entitlement.expires_at:
        raise DeniedError("this entitlement has expired: ask for a new one")
    return entitlement
