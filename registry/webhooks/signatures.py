"""Signatures of what is sent, so that a receiver knows that it comes from here and is not an old copy.

The form is that of Standard Webhooks, for which there are libraries in many languages:
`webhook-signature: v1,<base64 of HMAC-SHA256 over "id.timestamp.body">`, with the bytes of the secret behind
`whsec_`. Receivers refuse timestamps that are more than five minutes off, and ids that they have seen.

Source: github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
"""

import base64
import hashlib
import hmac

PREFIX = "whsec_"


def make_secret(key: bytes, webhook: str, number: int) -> str:
    """Return a webhook's secret. It is computed from the registry's key: a copy of the database does not hold it."""
    raw = hmac.new(key, f"webhook|{webhook}|{number}".encode(), hashlib.sha256).digest()
    return PREFIX + base64.b64encode(raw).decode()


def headers(secret: str, message: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers that sign a body.

    Args:
        secret: As `make_secret` gave it.
        message: Id of the event: the same each time it is sent.
        timestamp: Seconds since 1970 of this try.
        body: What is sent.
    """
    return {
        "webhook-id": message,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{signature(secret, message, timestamp, body)}",
    }


def signature(secret: str, message: str, timestamp: int, body: bytes) -> str:
    """Return the base64 of the HMAC-SHA256."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = b"%s.%d.%s" % (message.encode(), timestamp, body)
    return base64.b64encode(hmac.digest(key, signed, "sha256")).decode()
