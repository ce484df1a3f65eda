"""Events sent to others."""

import asyncio
import hmac
import random
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

from dteg.core.errors import ConflictError, NotFoundError
from registry.access import Principal, Role
from registry.background import Repeating
from registry.documents import milliseconds
from registry.identifiers import new_id
from registry.service import Service
from registry.tokens.secrets import signing_key
from registry.webhooks.addresses import checked_url
from registry.webhooks.models import (
    MAX_HOOKS,
    TEST,
    Attempt,
    Delivery,
    DeliveryState,
    Event,
    Happened,
    NewWebhook,
    Webhook,
)
from registry.webhooks.sender import Outcome, Sender
from registry.webhooks.signatures import headers, make_secret
from registry.webhooks.store import INDEXES, WebhookStore

if TYPE_CHECKING:
    from registry.services import Services

TRIES = 9  # over about a day and a half
_FIRST_WAIT_S = 10.0
_GROWTH = 4.0
_LONGEST_WAIT_S = 12 * 3600.0
_LEASE = timedelta(seconds=60)  # longer than a request may take
_EVERY_S = 2.0
_AT_ONCE = 8
_SHARED_AT_ONCE = 100
_SWEEP_EVERY_S = 3_600.0
KEEP_EVENTS = timedelta(days=90)
KEEP_DELIVERIES = timedelta(days=30)


class Webhooks(Service):
    """Keeps events, makes deliveries of them and sends those until they arrive or die."""

    INDEXES = INDEXES

    def __init__(self, services: "Services") -> None:
        super().__init__(services)
        self._store = WebhookStore(self.database)
        self._key = hmac.digest(signing_key(self.settings.data_dir), b"webhooks", "sha256")
        self.sender = Sender(allow_private=self.settings.private_webhooks)
        self._sending = Repeating(services, "webhooks", _EVERY_S, self.deliver)
        self._sweeping = Repeating(services, "old webhook deliveries", _SWEEP_EVERY_S, self.sweep)

    async def start(self) -> None:
        """Begin to send."""
        self._sending.start()
        self._sweeping.start()

    async def stop(self) -> None:
        """Stop sending; what was begun is tried again by the next process."""
        await self._sweeping.stop()
        await self._sending.stop()

    # --- events ----------------------------------------------------------------------------------------

    async def emit(
        self, event: str, namespace: str, payload: dict[str, Any], *, event_id: str = "", at: datetime | None = None
    ) -> None:  # fmt: skip
        """Keep an event; it is sent soon after to whoever wants it.

        Args:
            event: Name of an `Event`; others, such as `release.testing`, are told to nobody.
            namespace: Whose webhooks hear of it.
            payload: What a receiver gets as `data`; nothing secret.
            event_id: Its id, if the same event may be kept again after a crash: only the first one counts.
            at: When it happened; default: now.
        """
        if event not in set(Event):
            return
        happened = Happened(
            id=event_id or new_id(), event=Event(event), namespace=namespace, payload=payload,
            at=milliseconds(at or self.clock()),
        )  # fmt: skip
        await self._store.keep(happened)
        self.wake()

    def wake(self) -> None:
        """Have events that were just written told now, not with the next turn."""
        self._sending.wake()

    async def gather(self) -> None:
        """Keep the events of what was written since the last time.

        Who writes a review, thread or report notes in the same document that nobody was told of it, so nothing can be
        lost between the two. Its id is the event's: whatever is done twice after a crash, or by two processes at once,
        keeps one event.
        """
        for source in (self.services.reviews, self.services.discussions, self.services.reports):
            for happened in await source.untold(_SHARED_AT_ONCE):
                await self._store.keep(happened)
                await source.told(happened)

    async def releases(self, namespace: str = "", component: str = "", limit: int = 50) -> list[Happened]:
        """Return the newest `release.listed`, without releases that were quarantined since."""
        where = {"namespace": namespace} if namespace else {}
        if component:
            where = {"namespace": component.partition("/")[0], "payload.component": component}
        events = [Event.RELEASE_LISTED, Event.RELEASE_QUARANTINED]
        newest: dict[tuple[Any, Any], Happened] = {}
        for each in await self._store.newest(events, where, limit * 2):
            newest.setdefault((each.payload.get("component"), each.payload.get("version")), each)
        return [each for each in newest.values() if each.event is Event.RELEASE_LISTED][:limit]

    # --- webhooks --------------------------------------------------------------------------------------

    async def create(self, who: Principal, namespace: str, new: NewWebhook) -> tuple[Webhook, str]:
        """Make a webhook; return it and its secret, which cannot be had again.

        Raises:
            DeniedError: Who asks is no maintainer.
            InputError: The URL may not be called.
            ConflictError: The namespace has too many.
        """
        await self.services.namespaces.require(who, namespace, Role.MAINTAINER)
        checked_url(new.url, allow_private=self.settings.private_webhooks)
        if len(await self._store.of(namespace)) >= MAX_HOOKS:
            raise ConflictError(f"a namespace has at most {MAX_HOOKS} webhooks")
        webhook = Webhook(
            id=new_id(), namespace=namespace, url=new.url, events=list(dict.fromkeys(new.events)),
            created_by=who.user_id, created_at=milliseconds(self.clock()),
        )  # fmt: skip
        await self._store.insert(webhook)
        await self.services.audit.record(who, "webhook.create", webhook.id, namespace=namespace)
        return webhook, self._secret(webhook)

    async def renew_secret(self, who: Principal, namespace: str, webhook_id: str) -> tuple[Webhook, str]:
        """Replace a webhook's secret at once, and switch it on if it was off.

        Raises:
            DeniedError: Who asks is no maintainer.
            NotFoundError: There is no such webhook.
        """
        await self.services.namespaces.require(who, namespace, Role.MAINTAINER)
        webhook = await self._store.next_secret(webhook_id, namespace)
        if webhook is None:
            raise NotFoundError(f"the namespace {namespace!r} has no such webhook")
        await self.services.audit.record(who, "webhook.renew", webhook_id, namespace=namespace)
        return webhook, self._secret(webhook)

    async def of(self, who: Principal, namespace: str) -> list[Webhook]:
        """Return the webhooks of a namespace to its maintainers."""
        await self.services.namespaces.require(who, namespace, Role.MAINTAINER)
        return await self._store.of(namespace)

    async def get(self, who: Principal, namespace: str, webhook_id: str) -> Webhook:
        """Return a webhook to maintainers of its namespace.

        Raises:
            DeniedError: Who asks is no maintainer.
            NotFoundError: There is no such webhook.
        """
        await self.services.namespaces.require(who, namespace, Role.MAINTAINER)
        webhook = await self._store.find(webhook_id)
        if webhook is None or webhook.namespace != namespace:
            raise NotFoundError(f"the namespace {namespace!r} has no such webhook")
        return webhook

    async def test(self, who: Principal, namespace: str, webhook_id: str) -> Delivery:
        """Send the event `webhook.test` to one webhook, whatever it asked for; return the delivery.

        Raises:
            DeniedError: Who asks is no maintainer.
            NotFoundError: There is no such webhook.
            ConflictError: It is switched off.
        """
        webhook = await self.get(who, namespace, webhook_id)
        if not webhook.active:
            raise ConflictError("this webhook is switched off: a new secret switches it on again")
        happened = Happened(
            id=new_id(), event=TEST, namespace=namespace, payload={"webhook": webhook.id, "asked_by": who.login},
            at=milliseconds(self.clock()), shared=True,
        )  # fmt: skip
        await self._store.keep(happened)
        delivery = _delivery_of(happened, webhook, happened.at)
        await self._store.add_delivery(delivery)
        self.wake()
        return delivery

    async def delete(self, who: Principal, namespace: str, webhook_id: str) -> None:
        """Delete a webhook; what is under way is not sent again.

        Raises:
            DeniedError: Who asks is no maintainer.
            NotFoundError: There is no such webhook.
        """
        await self.services.namespaces.require(who, namespace, Role.MAINTAINER)
        if not await self._store.delete(webhook_id, namespace):
            raise NotFoundError(f"the namespace {namespace!r} has no such webhook")
        await self.services.audit.record(who, "webhook.delete", webhook_id, namespace=namespace)

    async def deliveries(
        self, who: Principal, namespace: str, webhook_id: str, *, after: str, limit: int
    ) -> list[Delivery]:
        """Return how deliveries went, to maintainers."""
        await self.get(who, namespace, webhook_id)
        return await self._store.deliveries(webhook_id, after, limit)

    async def redeliver(self, who: Principal, namespace: str, webhook_id: str, delivery_id: str) -> Delivery:
        """Send an ended delivery again: with the same id and content, and a new timestamp.

        Raises:
            DeniedError: Who asks is no maintainer.
            ConflictError: There is no such delivery that has ended.
        """
        await self.get(who, namespace, webhook_id)
        delivery = await self._store.revive(delivery_id, webhook_id, milliseconds(self.clock()))
        if delivery is None:
            raise ConflictError("there is no such delivery, or it has not ended yet")
        await self.services.audit.record(who, "webhook.redeliver", delivery_id, namespace=namespace)
        self._sending.wake()
        return delivery

    # --- sending ---------------------------------------------------------------------------------------

    async def deliver(self) -> int:
        """Make the deliveries of new events, and send all that are due; return how many were tried."""
        await self.gather()
        for happened in await self._store.unshared(_SHARED_AT_ONCE):
            await self._share(happened)
        tried = 0
        while due := await self._claimed():
            await asyncio.gather(*(self._try(delivery) for delivery in due))
            tried += len(due)
        return tried

    async def sweep(self) -> None:
        """Forget what is old."""
        now = milliseconds(self.clock())
        await self._store.forget(now - KEEP_EVENTS, now - KEEP_DELIVERIES)

    async def _share(self, happened: Happened) -> None:
        now = milliseconds(self.clock())
        for webhook in await self._store.of(happened.namespace):
            if webhook.active and happened.event in webhook.events and webhook.created_at <= happened.at:
                await self._store.add_delivery(_delivery_of(happened, webhook, now))
        await self._store.set_shared(happened.id)

    async def _claimed(self) -> list[Delivery]:
        due: list[Delivery] = []
        while len(due) < _AT_ONCE:
            now = milliseconds(self.clock())
            delivery = await self._store.claim(now, now + _LEASE)
            if delivery is None:
                break
            due.append(delivery)
        return due

    async def _try(self, delivery: Delivery) -> None:
        webhook = await self._store.find(delivery.webhook)
        happened = await self._store.happened(delivery.happened)
        now = milliseconds(self.clock())
        if webhook is None or not webhook.active or happened is None:
            ended = Attempt(at=now, error="the webhook was deleted or switched off")
            await self._store.tried(delivery, ended, DeliveryState.DEAD, now)
            return
        body = body_of(happened)
        signed = headers(self._secret(webhook), happened.id, int(now.timestamp()), body)
        outcome = await self.sender.post(webhook.url, signed, body)
        attempt = Attempt(at=now, status=outcome.status, ms=outcome.ms, error=outcome.error)
        state, wait_s = after_try(delivery.tries, outcome)
        later = milliseconds(self.clock()) + timedelta(seconds=wait_s)
        await self._store.tried(delivery, attempt, state, later)
        if outcome.gone:
            await self._store.set_active(webhook.id, False)

    def _secret(self, webhook: Webhook) -> str:
        return make_secret(self._key, webhook.id, webhook.secret_number)


def body_of(happened: Happened) -> bytes:
    """Return what a receiver gets, the same bytes each time."""
    content = {
        "id": happened.id, "event": str(happened.event), "namespace": happened.namespace,
        "at": _iso(happened.at), "data": happened.payload,
    }  # fmt: skip
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z)


def _delivery_of(happened: Happened, webhook: Webhook, now: datetime) -> Delivery:
    return Delivery(
        id=f"{happened.id}-{webhook.id}", webhook=webhook.id, namespace=webhook.namespace, happened=happened.id,
        event=happened.event, next_at=now, created_at=now,
    )  # fmt: skip


def after_try(tries: int, outcome: Outcome) -> tuple[DeliveryState, float]:
    """Return the state after a try, and the seconds until the next: 10 s, four times as long each time, up to 12 h.

    The wait is spread by a quarter, so that receivers that were down together are not all called together.
    """
    if outcome.ok:
        return DeliveryState.DELIVERED, 0.0
    if outcome.gone or tries >= TRIES:
        return DeliveryState.DEAD, 0.0
    wait = min(_FIRST_WAIT_S * _GROWTH ** (tries - 1), _LONGEST_WAIT_S)
    return DeliveryState.PENDING, max(wait * random.uniform(0.75, 1.25), outcome.wait_s)  # noqa: S311 - no secret


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
