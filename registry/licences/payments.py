"""Who takes payments: a port, and a provider for trying out that moves no money.

A provider is told of an order and names a place where to pay. Later it calls back, signed, as often as it takes until
we answer; each call is signed anew. So one event may come several times (and is applied once), but the very same call
never comes twice from the provider: that is a copy, and refused.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dteg.core.errors import DeniedError
from registry.identifiers import new_id
from registry.licences.bills import Order

EventKind = Literal["paid", "failed", "refunded"]
SIGNATURE_HEADER = "payment-signature"
_LONGEST_S = 300
_MAX_BODY = 20_000


@dataclass(frozen=True, slots=True)
class Checkout:
    """Where one pays.

    Attributes:
        reference: The provider's name of the payment.
        url: Address for the buyer's browser.
    """

    reference: str
    url: str


class PaymentEvent(BaseModel):
    """What a provider tells.

    Attributes:
        id: Names the event; the same each time that it is told.
        kind: What happened.
        reference: To which payment.
        amount_minor: How much, in minor units.
        currency: Of what.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    id: str = Field(pattern=r"^[\w-]{1,100}$")
    kind: EventKind
    reference: str = Field(pattern=r"^[\w-]{1,200}$")
    amount_minor: int = Field(ge=0, strict=True)
    currency: str = Field(pattern=r"^[A-Z]{3}$")


class PaymentProvider(Protocol):
    """What a provider can do."""

    name: str

    async def checkout(self, order: Order) -> Checkout:
        """Announce an order and return where one pays.

        Raises:
            UnavailableError: The provider does not answer.
        """

    def verified(self, headers: Mapping[str, str], body: bytes, now: datetime) -> tuple[PaymentEvent, str]:
        """Return what a call back says, and what tells this call from all others.

        Raises:
            DeniedError: It is not from the provider, or old.
        """


class TestProvider:
    """A provider that moves no money; it signs its calls as real ones do.

    Args:
        key: Secret that it shares with the registry.
        public_url: How users reach the registry.
    """

    __test__: ClassVar[bool] = False  # the name does not make it a test
    name = "test"

    def __init__(self, key: bytes, public_url: str) -> None:
        self._key, self._public_url = key, public_url

    async def checkout(self, order: Order) -> Checkout:
        """Return a reference, and the address at which the order counts as paid."""
        reference = f"test_{order.id}"
        return Checkout(reference, f"{self._public_url}/api/v1/payments/test/{reference}/pay")

    def call(
        self, kind: EventKind, order: Order, now: datetime, *, event_id: str = ""
    ) -> tuple[dict[str, str], bytes]:
        """Return headers and body of the call that tells of a payment, signed at `now`."""
        event = {
            "id": event_id or f"evt_{new_id()}", "kind": kind, "reference": order.reference,
            "amount_minor": order.amount_minor, "currency": order.price.currency,
        }  # fmt: skip
        body = json.dumps(event).encode()
        timestamp, nonce = int(now.timestamp()), new_id()
        signature = f"t={timestamp},n={nonce},v1={self._signature(timestamp, nonce, body)}"
        return {SIGNATURE_HEADER: signature}, body

    def verified(self, headers: Mapping[str, str], body: bytes, now: datetime) -> tuple[PaymentEvent, str]:
        """Check time and signature, then read."""
        parts = dict(part.partition("=")[::2] for part in headers.get(SIGNATURE_HEADER, "").split(","))
        timestamp, nonce, given = parts.get("t", ""), parts.get("n", ""), parts.get("v1", "")
        if (
            not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12)
            or len(body) > _MAX_BODY
        ):
            raise DeniedError("this call carries no signature of the payment provider")
        expected = self._signature(int(timestamp), nonce, body)
        if not hmac.compare_digest(expected.encode(), given.encode()):
            raise DeniedError("the signature is not that of the payment provider")
        if abs(now.timestamp() - int(timestamp)) > _LONGEST_S:
            raise DeniedError("this call is older than five minutes")
        try:
            event = PaymentEvent.model_validate_json(body)
        except ValidationError:
            raise DeniedError("the payment provider says something that is not understood") from None
        return event, hashlib.sha256(expected.encode()).hexdigest()

    def _signature(self, timestamp: int, nonce: str, body: bytes) -> str:
        signed = b"%d.%s.%s" % (timestamp, nonce.encode(), body)
        return hmac.new(self._key, signed, hashlib.sha256).hexdigest()
