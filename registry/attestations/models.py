"""Signed statements about files, the registry's keys, and the public log of all changes of state."""

from datetime import datetime
from typing import Any

from registry.documents import Answer, Document
from registry.hash_chain import ChainEntry

# The registry took a release in: what it checked the publisher's signature against, and when.
ACCEPTED = "https://dteg.dev/attestation/accepted/v1"
# How far the log reaches; its subject is the hash of the last entry.
LOG_HEAD = "https://dteg.dev/attestation/log-head/v1"


class RegistryKey(Document):
    """A public key of this registry; its id is the key's.

    Attributes:
        public: Base64 of the 32 raw bytes.
        from_at: Signs from then on.
        to_at: Signed until then; None for the present one.
    """

    public: str
    from_at: datetime
    to_at: datetime | None = None


class Attestation(Document):
    """A signed statement; its id is the digest of its envelope.

    Attributes:
        release: The release it is about.
        subject: SHA-256 of the file it is about.
        predicate_type: What it says.
        key_id: Who signed.
        envelope: All of it, as JSON.
        at: When it was stored.
    """

    release: str
    subject: str
    predicate_type: str
    key_id: str
    envelope: str
    at: datetime


class LogEntry(ChainEntry):
    """One change of state of one release, tied to the entry before.

    Attributes:
        key: `release#number of its change`: each change is logged once.
        component: `namespace/slug`.
        version: Version.
        sha256: Hash of the file.
        state: What the release became.
        at: When.
        prev: `hash` of the entry before.
    """

    key: str
    component: str
    version: str
    sha256: str
    state: str
    at: datetime
    prev: str

    @property
    def hash_before(self) -> str:
        """`prev`."""
        return self.prev


class LogAnswer(Answer):
    """One entry of the log."""

    seq: int
    key: str
    component: str
    version: str
    sha256: str
    state: str
    at: datetime
    prev: str
    hash: str


class HeadAnswer(Answer):
    """The end of the log, signed by the registry."""

    seq: int
    hash: str
    envelope: dict[str, Any] | None


class RegistryKeyAnswer(Answer):
    """A public key of the registry."""

    key_id: str
    public_key: str
    purpose: str = "registry"
    from_at: datetime
    to_at: datetime | None


class Keys(Answer):
    """All public keys of the registry, old ones too."""

    items: list[RegistryKeyAnswer]


class Envelopes(Answer):
    """Signed envelopes, the oldest first."""

    items: list[dict[str, Any]]
