"""What people and organisations have: components that they may use, seats, and use that is not billed yet."""

from typing import TYPE_CHECKING, Literal

from registry.access import Principal, Role
from registry.documents import milliseconds
from registry.licences.models import EntitledAnswer, Licence, OpenUsage
from registry.licences.money import price_of_rows
from registry.licences.store import LicenceStore

if TYPE_CHECKING:
    from registry.services import Services


class Holdings:
    """Answers who has what; changes nothing.

    Args:
        services: All services.
        store: Licences and metered use.
    """

    def __init__(self, services: "Services", store: LicenceStore) -> None:
        self._services, self._store = services, store

    async def usable(self, who: Principal, *, after: str, limit: int) -> list[EntitledAnswer]:
        """Return the licences that hold now of all organisations that one belongs to, readers too; without prices."""
        mine = [
            each.id
            for each in await self._services.namespaces.of(who.user_id)
            if who.covers(each.id, who.component)
        ]
        now = milliseconds(self._services.clock())
        found = await self._store.good(mine, now, after=after, limit=limit)
        return [
            EntitledAnswer(
                id=each.key, component=each.component, organisation=each.organisation, seat=_seat(each, who.user_id),
                until=each.until,
            )
            for each in found
        ]  # fmt: skip

    async def seated(self, licences: list[Licence]) -> dict[str, list[str]]:
        """Return the logins of those who have a seat, by key of the licence."""
        users = sorted({user for each in licences for user in each.users})
        logins = await self._services.accounts.logins(users)
        return {each.key: [logins[user] for user in each.users if user in logins] for each in licences}

    async def open_usage(self, who: Principal, namespace: str) -> list[OpenUsage]:
        """Return the metered use that a namespace sold or used and that is on no invoice yet; to its owners.

        Raises:
            DeniedError: Who asks is no owner.
        """
        await self._services.namespaces.require(who, namespace, Role.OWNER)
        return [
            OpenUsage(**row, amount_minor=price_of_rows(row["rows"], row["per_million_minor"]))
            for row in await self._store.open_usage(namespace)
        ]


def _seat(licence: Licence, user_id: str) -> Literal["everybody", "yours", "free", "taken"]:
    if licence.seats is None:
        return "everybody"
    if user_id in licence.users[: licence.seats]:
        return "yours"
    return "free" if len(licence.users) < licence.seats else "taken"
