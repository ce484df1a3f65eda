"""Signed statements about files, the registry's keys, and the public log of all changes of state."""

import hashlib
from datetime import datetime
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

from registry.documents import Answer, Document

FIRST_HASH = "0" * 64
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


class LogEntry(BaseModel):
    """One change of state of one release, tied to the entry before.

    Attributes:
        seq: Its number, from 1, without gaps.
        key: `release#number of its change`: each change is logged once.
        component: `namespace/slug`.
        version: Version.
        sha256: Hash of the file.
        state: What the release became.
        at: When.
        prev: `hash` of the entry before.
        hash: Hash of all the rest.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True, extra="ignore")

    seq: int = Field(alias="_id")
    key: str
    component: str
    version: str
    sha256: str
    state: str
    at: datetime
    prev: str
    hash: str = ""

    def computed_hash(self) -> str:
        """Return what `hash` must be: the SHA-256 of the entry's JSON with sorted keys, without `hash`."""
        content = self.model_dump(mode="json", exclude={"hash"})
        return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


class LogProof(Answer):
    """Whether the log holds.

    Attributes:
        ok: Whether it does.
        entries: How many were read.
        problem: The first thing that is wrong; "" if nothing.
        head: Hash of the last entry.
    """

    ok: bool
    entries: int
    problem: str = ""
    head: str = FIRST_HASH


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
