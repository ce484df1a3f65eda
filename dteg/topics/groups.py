"""What a group has done, as plain data: for adapters without a database that could keep it row by row."""

from dataclasses import dataclass, field
from typing import Any, Self

from dteg.topics.models import Outcome, TopicSettings, parse_ack_id


@dataclass(slots=True)
class Lease:
    """A message that is handed out, or waits for another attempt.

    Attributes:
        attempts: Deliveries so far.
        number: Names the delivery; 0 while it waits.
        due_at: End of the lease or of the wait, in seconds since 1970.
        dead_id: The dead letter that is delivered again; 0 for a message of the topic.
    """

    attempts: int
    number: int
    due_at: float
    dead_id: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """What a member gets.

    Attributes:
        offsets: To deliver; each has a lease now.
        spent: Offsets that used up their attempts, with their last leases: to bury.
    """

    offsets: list[int]
    spent: dict[int, Lease]


@dataclass(slots=True)
class GroupState:
    """One group.

    Attributes:
        next_offset: Everything before it was handed out at least once.
        created_at: When, in seconds since 1970.
        last_seen_at: When a member asked last.
        missed: Messages that retention deleted before the group got them.
        number: Number of the last delivery.
        leases: By offset.
    """

    next_offset: int
    created_at: float
    last_seen_at: float
    missed: int = 0
    number: int = 0
    leases: dict[int, Lease] = field(default_factory=dict)

    def take(
        self, now: float, *, first: int, head: int, limit: int, lease_s: float, settings: TopicSettings
    ) -> Taken:
        """Lease messages to a member: first what is tried again, then what is new.

        Args:
            now: The time, in seconds since 1970.
            first: Offset of the oldest message that is kept.
            head: Offset that the next message gets.
            limit: At most so many.
            lease_s: Until somebody else may have them.
            settings: Those of the topic.
        """
        self.last_seen_at = now
        self.number += 1
        due = sorted((lease.due_at, offset) for offset, lease in self.leases.items() if lease.due_at <= now)
        spent = [at for _, at in due if self.leases[at].attempts >= settings.max_attempts]
        again = [offset for _, offset in due if offset not in spent]
        # Whoever had it died, perhaps of it: it goes out alone, so that it takes no others with it.
        suspects = [offset for offset in again if self.leases[offset].number]
        offsets = sorted(suspects[:1] or again[:limit])
        if not offsets:
            self.missed += max(0, first - self.next_offset)
            begin = max(first, self.next_offset)
            end = max(begin, min(begin + limit, head))
            # One that is leased already is a dead letter that is delivered again.
            offsets = [offset for offset in range(begin, end) if offset not in self.leases]
            self.next_offset = end
        buried = {offset: self.leases.pop(offset) for offset in spent}
        for offset in offsets:
            lease = self.leases.setdefault(offset, Lease(0, 0, now))
            lease.attempts += 1
            lease.number, lease.due_at = self.number, now + lease_s
        return Taken(offsets, buried)

    def leased(self, ack_id: str) -> int | None:
        """Return the offset of a delivery, None if its lease has run out or it was answered.

        Raises:
            ConfigError: Nobody was given such a name.
        """
        offset, number = parse_ack_id(ack_id)
        lease = self.leases.get(offset)
        return offset if lease is not None and number == lease.number > 0 else None

    def fail(self, offset: int, now: float, retry_in_s: float | None, settings: TopicSettings) -> Outcome:
        """Say that a leased message could not be handled; a dead one keeps its lease for who buries it."""
        lease = self.leases[offset]
        if lease.attempts >= settings.max_attempts:
            return "dead"
        wait_s = settings.retry_in_s(lease.attempts) if retry_in_s is None else retry_in_s
        lease.number, lease.due_at = 0, now + wait_s
        return "retry"

    def release(self, offset: int, now: float) -> None:
        """Give a leased message back; the attempt does not count."""
        lease = self.leases[offset]
        lease.number, lease.attempts, lease.due_at = 0, lease.attempts - 1, now

    def in_flight(self, now: float) -> int:
        """Return how many messages members work on."""
        return sum(1 for lease in self.leases.values() if lease.number and lease.due_at > now)

    def replaying(self) -> set[int]:
        """Return the ids of the dead letters that are delivered again."""
        return {lease.dead_id for lease in self.leases.values() if lease.dead_id}

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        leases = {
            str(at): [each.attempts, each.number, each.due_at, each.dead_id]
            for at, each in self.leases.items()
        }
        return {
            "next_offset": self.next_offset, "created_at": self.created_at, "last_seen_at": self.last_seen_at,
            "missed": self.missed, "number": self.number, "leases": leases,
        }  # fmt: skip

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Return what `to_json` made."""
        leases = {int(at): Lease(*each) for at, each in values["leases"].items()}
        return cls(**{**values, "leases": leases})


def ack_id_of(offset: int, lease: Lease) -> str:
    """Return the name of a delivery."""
    return f"{offset}.{lease.number}"
