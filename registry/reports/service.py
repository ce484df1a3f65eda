"""Abuse reports and moderation."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from dteg.core.errors import ConflictError, DeniedError, InputError, NotFoundError
from dteg.webapp.problems import LimitedError
from registry.access import Principal, Scope
from registry.documents import milliseconds
from registry.identifiers import new_id
from registry.releases.models import INSTALLABLE, State
from registry.reports.models import (
    ANSWER_WITHIN,
    ModerationAction,
    ModerationKind,
    NewReport,
    QueueAnswer,
    Report,
    ReportAnswer,
    ReportMade,
    Resolution,
    Resolve,
)
from registry.reports.store import INDEXES, ReportStore
from registry.service import Service
from registry.webhooks.models import Event, Happened

if TYPE_CHECKING:
    from registry.services import Services

PER_DAY = 50  # of one account
_TEXTS = ("review", "thread", "reply")


class Reports(Service):
    """Keeps the queue of reports, and does what moderators decide."""

    INDEXES = INDEXES

    def __init__(self, services: "Services") -> None:
        super().__init__(services)
        self._store = ReportStore(self.database)

    async def create(self, who: Principal, new: NewReport) -> Report:
        """Report something.

        Raises:
            NotFoundError: There is no such thing.
            ConflictError: One's own report about it waits already.
            LimitedError: Too many reports in a day.
        """
        component = await self._component_of(new.target)
        now = milliseconds(self.clock())
        if await self._store.since(who.user_id, now - timedelta(days=1)) >= PER_DAY:
            raise LimitedError(f"at most {PER_DAY} reports a day", retry_after_s=3600)
        report = Report(
            id=new_id(), key=f"{new.target}|{who.user_id}", target=new.target, component=component,
            user_id=who.user_id, reason=new.reason, text=new.text, created_at=now, due_at=now + ANSWER_WITHIN[new.reason],
            told=False,
        )  # fmt: skip
        if not await self._store.insert(report):
            raise ConflictError("your report about this waits already")
        self.services.webhooks.wake()
        return report

    async def get(self, who: Principal, report_id: str) -> Report:
        """Return a report to its author and to administrators.

        Raises:
            NotFoundError: There is none for who asks.
        """
        report = await self._store.find(report_id)
        if report is None or not (who.may(Scope.ADMIN) or report.user_id == who.user_id):
            raise NotFoundError("there is no such report")
        return report

    async def page(
        self, who: Principal, *, is_open: bool, after: str, limit: int
    ) -> tuple[list[Report], str | None]:
        """Return reports, the most urgent first, and the cursor of the next page.

        Raises:
            DeniedError: Who asks is no administrator.
            InputError: The cursor is not one of ours.
        """
        _require_admin(who)
        reports = await self._store.page(is_open=is_open, after=_cursor(after), limit=limit)
        if len(reports) < limit:
            return reports, None
        return reports, f"{round(reports[-1].due_at.timestamp() * 1000)}-{reports[-1].id}"

    async def queue(self, who: Principal) -> QueueAnswer:
        """Return how the queue stands; raises as `page`."""
        _require_admin(who)
        now = self.clock()
        count, overdue, oldest = await self._store.queue(now)
        age = int((now - oldest).total_seconds()) if oldest else None
        return QueueAnswer(open=count, overdue=overdue, oldest_s=age)

    async def resolve(self, who: Principal, report_id: str, resolve: Resolve) -> Report:
        """Do something about a report, or nothing; others about the same target end with it.

        Raises:
            DeniedError: Who asks is no administrator.
            NotFoundError: There is no such report.
            ConflictError: It is resolved already.
            InputError: The action does not fit the target.
        """
        _require_admin(who)
        report = await self.get(who, report_id)
        if not report.is_open:
            raise ConflictError("this report is resolved already")
        # The deed first, which may be done twice: a report that says so without it would be a lie.
        await self._act(who, report, resolve)
        values = {
            "resolution": resolve.action, "note": resolve.note, "resolved_by": who.user_id,
            "resolved_at": milliseconds(self.clock()),
        }  # fmt: skip
        if not await self._store.close(report, values):
            raise ConflictError("somebody else has just resolved this report")
        await self.services.audit.record(
            who, "report.resolve", report_id, about=report.target, resolution=resolve.action.value, note=resolve.note
        )  # fmt: skip
        for other in await self._store.open_about(report.target):
            if resolve.action is not Resolution.DISMISS and await self._store.close(other, values):
                await self.services.audit.record(who, "report.resolve", other.id, together_with=report_id)
        return await self.get(who, report_id)

    async def moderate(
        self, who: Principal, kind: ModerationKind, target_id: str, action: ModerationAction, reason: str
    ) -> None:
        """Hide or show a text, lock or unlock a thread.

        Raises:
            DeniedError: Who asks is no administrator.
            NotFoundError: There is no such thing.
            InputError: The action does not fit it.
        """
        _require_admin(who)
        if action in (ModerationAction.LOCK, ModerationAction.UNLOCK):
            if kind is not ModerationKind.THREAD:
                raise InputError(f"a {kind.value} cannot be locked: hide it")
            await self.services.discussions.set_locked(who, target_id, action is ModerationAction.LOCK)
            return
        await self._set_hidden(who, kind.value, target_id, action is ModerationAction.HIDE, reason)

    async def answers(self, reports: list[Report]) -> list[ReportAnswer]:
        """Return reports as administrators see them."""
        ids = {each.user_id for each in reports} | {each.resolved_by for each in reports if each.resolved_by}
        logins = await self.services.accounts.logins(sorted(ids))
        return [_answer(each, logins, self.clock()) for each in reports]

    # --- events ----------------------------------------------------------------------------------------

    async def untold(self, limit: int) -> list[Happened]:
        """Return events of reports that the webhooks have not kept yet."""
        return [_event(each) for each in await self._store.untold(limit)]

    async def told(self, happened: Happened) -> None:
        """Note that the webhooks have kept an event."""
        await self._store.set_told(happened.id)

    # --- inside ----------------------------------------------------------------------------------------

    async def _act(self, who: Principal, report: Report, resolve: Resolve) -> None:
        kind, _, name = report.target.partition(":")
        if resolve.action is Resolution.DISMISS:
            return
        if resolve.action is Resolution.HIDE:
            if kind not in _TEXTS:
                raise InputError(f"a {kind} is not hidden but quarantined")
            await self._set_hidden(who, kind, name, True, resolve.note)  # type: ignore[arg-type]
        elif kind == "release":
            await self._quarantine(who, name, resolve.note)
        elif kind == "component":
            for release in await self.services.releases.of(name):
                if release.state in INSTALLABLE:
                    await self._quarantine(who, release.id, resolve.note)
        else:
            raise InputError(f"a {kind} is not quarantined but hidden")

    async def _quarantine(self, who: Principal, name: str, reason: str) -> None:
        release = await self.services.releases.by_id(name)
        if release.state is not State.QUARANTINED:
            await self.services.releases.quarantine(who, name, reason)

    async def _set_hidden(
        self, who: Principal, kind: Literal["review", "thread", "reply"], name: str, hidden: bool, reason: str
    ) -> None:
        if kind == "review":
            await self.services.reviews.set_hidden(who, name, hidden, reason)
        else:
            await self.services.discussions.set_hidden(who, kind, name, hidden, reason)

    async def _component_of(self, target: str) -> str:
        kind, _, name = target.partition(":")
        match kind:
            case "component":
                return (await self.services.components.get(name)).id
            case "release":
                return (await self.services.releases.by_id(name)).component
            case "review":
                return (await self.services.reviews.get(name)).component
            case "thread":
                return await self.services.discussions.component_of("thread", name)
            case _:
                return await self.services.discussions.component_of("reply", name)


def _event(report: Report) -> Happened:
    # Not by whom, and not in which words: who is reported shall not be able to find out who reported.
    payload = {
        "component": report.component, "report": report.id, "target": report.target, "reason": report.reason.value,
    }  # fmt: skip
    namespace = report.component.partition("/")[0]
    return Happened(
        id=report.id, event=Event.REPORT_CREATED, namespace=namespace, payload=payload, at=report.created_at
    )


def made(report: Report) -> ReportMade:
    """Return what the one who reported gets."""
    return ReportMade(**report.model_dump(include=set(ReportMade.model_fields)))


def _answer(report: Report, logins: dict[str, str], now: datetime) -> ReportAnswer:
    until = report.resolved_at or now
    return ReportAnswer(
        **report.model_dump(include={*ReportMade.model_fields, "component", "text", "note", "resolved_at"}),
        reporter=logins.get(report.user_id, ""), resolved_by=logins.get(report.resolved_by, ""),
        age_s=max(0, int((until - report.created_at).total_seconds())), overdue=until > report.due_at,
    )  # fmt: skip


def _require_admin(who: Principal) -> None:
    if not who.may(Scope.ADMIN):
        raise DeniedError("only an administrator may do this")


def _cursor(after: str) -> tuple[datetime, str] | None:
    if not after:
        return None
    moment, _, report_id = after.partition("-")
    if not moment.isdecimal() or len(moment) > 14 or not report_id:
        raise InputError("after: give the `next` of the page before")
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=int(moment)), report_id
