"""Who is told what and when, with a clock that the tests move, over the real tables."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dteg.alerts import Severity, State
from dteg.core.durations import parse_duration
from dteg.core.errors import NotFoundError
from tests.integration.alerts.conftest import START

pytestmark = pytest.mark.integration
FIRED, OVER = "[error] check orders", "[resolved] check orders"


def test_what_goes_on_is_told_once_and_again_after_repeat_every(desk):
    desk.write("- {name: checks, to: [people], repeat_every: 4h}")
    for _ in range(5):
        desk.fires()
        desk.wait("10m")
    assert desk.told() == [FIRED]
    (matter,) = desk.alerts.open()
    assert (matter.occurrences, matter.told_at, matter.first_at) == (5, START, START)
    desk.wait("185m")
    assert desk.told() == []
    desk.wait("5m")
    assert desk.told() == [FIRED]
    assert "5 times since it began" in desk.alerts.log()[0].body
    desk.wait("3h")
    desk.ends()
    assert desk.told() == [OVER]
    desk.wait("1d", step="1h")
    assert desk.told() == desk.alerts.open() == []


def test_rule_that_repeats_nothing(desk):
    desk.write("- {name: checks, to: [people], repeat_every: null, tell_resolved: false}")
    desk.fires()
    desk.wait("3d", step="6h")
    desk.ends()
    assert desk.told() == [FIRED]


def test_one_matter_is_no_other(desk):
    desk.write("- {name: checks, to: [people]}")
    desk.fires()
    desk.fires(subject="lines")
    desk.ends(subject="lines")
    assert desk.told() == [FIRED, "[error] check lines", "[resolved] check lines"]
    assert [each.subject for each in desk.alerts.open()] == ["orders"]


def test_what_comes_and_goes_is_told_a_few_times_and_then_as_it_stands(desk):
    desk.write("- {name: checks, to: [people], repeat_every: 4h}")
    for _ in range(30):
        desk.fires()
        desk.wait("2m", step="2m")
        desk.ends()
        desk.wait("2m", step="2m")
    assert desk.told() == [FIRED, OVER, FIRED, OVER, FIRED]
    assert "comes and goes: it began 3 times" in desk.alerts.log()[0].body
    desk.wait("125m")
    assert desk.told() == [OVER]  # it has stayed over
    desk.fires()
    assert desk.told() == [FIRED]


def test_what_comes_and_goes_and_stays_is_told_again(desk):
    desk.write("- {name: checks, to: [people], repeat_every: 1h}")
    for _ in range(5):
        desk.fires()
        desk.ends()
    desk.fires()
    assert desk.told() == [FIRED, OVER, FIRED, OVER, FIRED]
    desk.wait("1h")
    assert desk.told() == [FIRED]
    desk.ends()
    assert desk.told() == [OVER]


def test_what_becomes_worse_is_news(desk):
    desk.write("- {name: checks, to: [people]}")
    desk.fires(severity=Severity.WARNING)
    desk.fires(severity=Severity.CRITICAL)
    desk.fires(severity=Severity.ERROR)
    desk.fires(severity=Severity.CRITICAL)
    assert desk.told() == ["[warning] check orders", "[critical] check orders"]


def test_events_of_one_matter_are_told_once_in_a_while_and_are_not_going_on(desk):
    desk.write("- {name: changes, to: [people], repeat_every: 1h}")
    for _ in range(3):
        desk.happens(State.EVENT, subject="raw.flights")
        desk.wait("20m")
    assert len(desk.told()) == 1
    assert desk.alerts.open() == []
    desk.happens(State.EVENT, subject="raw.flights")
    desk.happens(State.EVENT, subject="raw.flights", dedupe_key="another")
    assert len(desk.told()) == 2


def test_event_does_not_end_what_goes_on(desk):
    desk.write("- {name: runs, to: [people]}")
    desk.fires()
    desk.happens(State.EVENT, severity=Severity.WARNING)
    assert [each.occurrences for each in desk.alerts.open()] == [2]
    desk.ends()
    assert desk.told() == [FIRED, OVER]


NIGHT = "- {name: checks, to: [people], quiet_hours: {from: '22:00', to: '07:00', timezone: Europe/Berlin}}"


def test_quiet_hours_over_midnight_hold_what_is_not_urgent(desk):
    desk.write(NIGHT)
    desk.at("2026-03-10T22:30:00+01:00")
    desk.fires()
    desk.fires(severity=Severity.CRITICAL, subject="disk")
    assert desk.told() == ["[critical] check disk"]
    desk.at("2026-03-11T06:59:00+01:00")
    assert "[error] check orders" not in desk.told()
    desk.at("2026-03-11T07:00:00+01:00")
    assert desk.told() == [FIRED]
    desk.wait("230m")
    assert FIRED not in desk.told()  # repeat_every counts from when it was told
    desk.wait("10m")
    assert FIRED in desk.told()


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        ("2026-03-28T23:00:00+01:00", "2026-03-29T05:00:00+00:00"),  # the night is an hour shorter
        ("2026-10-24T23:00:00+02:00", "2026-10-25T06:00:00+00:00"),  # and here longer
    ],
)
def test_quiet_hours_end_by_the_clock_on_the_wall(desk, begins, ends):
    desk.write(NIGHT)
    desk.at(begins)
    desk.fires()
    desk.now = datetime.fromisoformat(ends) - timedelta(minutes=1)
    desk.deliver()
    assert desk.told() == []
    desk.at(ends)
    assert desk.told() == [FIRED]


def test_quiet_hours_that_end_in_the_hour_that_comes_twice(desk):
    desk.write(NIGHT.replace("07:00", "02:30"))
    desk.at("2026-10-25T02:10:00+01:00")  # for the second time
    desk.fires()
    assert desk.told() == []
    desk.at("2026-10-25T02:30:00+01:00")
    assert desk.told() == [FIRED]


def test_what_was_held_and_is_over_is_never_told(desk):
    desk.write(NIGHT)
    desk.at("2026-03-10T23:00:00+01:00")
    desk.fires()
    desk.wait("1h")
    desk.ends()
    desk.at("2026-03-11T09:00:00+01:00")
    assert desk.told() == []
    (message,) = desk.alerts.log()
    assert (message.error, message.attempts) == ("it was over before it was told", 0)


def test_the_end_of_what_woke_people_is_told_at_night(desk):
    desk.write(NIGHT)
    desk.at("2026-03-10T23:00:00+01:00")
    desk.fires(severity=Severity.CRITICAL)
    desk.wait("1h")
    desk.ends()
    assert desk.told() == ["[critical] check orders", OVER]


ESCALATING = """
- name: checks
  to: [people]
  repeat_every: null
  escalate: [{after: 30m, to: [boss]}, {after: 2h, to: [boss, people]}]
"""


def test_escalation_when_nobody_takes_care(desk):
    desk.write(ESCALATING)
    desk.fires()
    desk.wait("20m")
    assert desk.told("boss") == []
    desk.wait("10m")
    assert desk.told("boss") == ["[error, escalation 1] check orders"]
    desk.wait("3h")
    assert desk.told("boss") == ["[error, escalation 2] check orders"]
    assert desk.told() == [FIRED, "[error, escalation 2] check orders"]
    desk.ends()
    assert desk.told("boss") == desk.told() == [OVER]


def test_escalation_counts_from_when_people_were_told(desk):
    desk.write(NIGHT.replace("}}", "}, escalate: [{after: 30m, to: [boss]}]}"))
    desk.at("2026-03-10T23:00:00+01:00")
    desk.fires()
    desk.at("2026-03-11T07:20:00+01:00")
    assert (desk.told(), desk.told("boss")) == ([FIRED], [])
    desk.at("2026-03-11T07:30:00+01:00")
    assert desk.told("boss") == ["[error, escalation 1] check orders"]


def test_acknowledged_is_neither_told_again_nor_escalated_until_it_begins_anew(desk):
    desk.write(ESCALATING.replace("null", "1h"))
    desk.fires()
    (matter,) = desk.alerts.open()
    desk.alerts.acknowledge(matter.rule, matter.matter, "ada")
    desk.alerts.acknowledge(matter.rule, matter.matter, "bob")
    assert desk.alerts.open()[0].acknowledged_by == "ada"
    desk.fires(severity=Severity.CRITICAL)
    desk.wait("5h")
    assert (desk.told(), desk.told("boss")) == ([FIRED], [])
    desk.ends()
    assert desk.told() == [OVER]
    with pytest.raises(NotFoundError, match="dteg alert list"):
        desk.alerts.acknowledge(matter.rule, matter.matter, "ada")
    desk.fires()
    desk.wait("30m")
    assert (desk.told(), desk.told("boss")) == ([FIRED], ["[error, escalation 1] check orders"])


def test_acknowledged_at_night_wakes_nobody_in_the_morning(desk):
    desk.write(NIGHT)
    desk.at("2026-03-10T23:00:00+01:00")
    desk.fires()
    (matter,) = desk.alerts.open()
    desk.alerts.acknowledge(matter.rule, matter.matter, "ada")
    desk.at("2026-03-11T09:00:00+01:00")
    assert desk.told() == []
    assert desk.alerts.log()[0].error == "ada takes care"


def test_rule_that_is_removed_or_off_tells_nothing_more(desk):
    rules = "- {name: checks, to: [people], repeat_every: 1h}\n- {name: other, to: [boss], repeat_every: 1h}"
    desk.write(rules)
    desk.fires()
    desk.write("- {name: other, to: [boss], enabled: false}")
    desk.wait("5h")
    assert (len(desk.told()), len(desk.told("boss"))) == (1, 1)
    assert desk.alerts.open() == []


def test_rules_choose_by_kind_subject_severity_result_and_condition(desk):
    desk.write(
        """
        - {name: bad, match: {kind: [run], subject: 'raw*', severity: error}, to: [people]}
        - {name: large, match: {on: success, when: rows_loaded > 1000}, to: [boss]}
        """
    )
    from dteg.alerts import Kind

    desk.fires(kind=Kind.RUN, subject="raw_flights")
    desk.fires(kind=Kind.RUN, subject="other")
    desk.fires(kind=Kind.CHECK, subject="raw_flights")
    desk.fires(kind=Kind.RUN, subject="raw_weather", severity=Severity.WARNING)
    desk.ends(kind=Kind.RUN, subject="raw_flights", details={"rows_loaded": 5000})
    desk.ends(kind=Kind.RUN, subject="other", details={"rows_loaded": 5})
    assert desk.told() == ["[error] run raw_flights", "[resolved] run raw_flights"]
    assert desk.told("boss") == ["[resolved] run raw_flights"]


def test_rule_that_asks_for_everything_gets_everything(desk):
    desk.write("- {name: all, match: {on: always}, to: [people]}")
    for _ in range(5):
        desk.fires()
        desk.fires()
        desk.ends()
        desk.ends()
    assert desk.told() == [FIRED, FIRED, OVER, OVER] * 5


def test_broken_file_loses_nothing(desk):
    desk.write("- {name: checks, to: [peopel]}")
    from dteg.core.errors import ConfigError

    with pytest.raises(
        ConfigError,
        match=r'alerts.yaml:5: rules.0..to.0.: there is no channel .peopel.; did you mean "people"',
    ):
        desk.fires()
    desk.write("- {name: checks, to: [people]}")
    desk.deliver()
    assert desk.told() == [FIRED]


def test_text_that_postgres_cannot_keep_is_told_all_the_same(desk):
    desk.write("- {name: checks, to: [people]}")
    desk.fires(subject="a\0b\nc", details={"x": ["\0"]})
    assert desk.told() == ["[error] check a\N{REPLACEMENT CHARACTER}b c"]


STEPS = st.lists(
    st.one_of(
        st.sampled_from(["fires", "ends", "worse"]),
        st.sampled_from(["1m", "29m", "2h", "9h"]).map(lambda text: ("wait", text)),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, repeat=st.sampled_from(["30m", "3h", None]), quiet=st.booleans())
def test_nothing_is_told_twice_within_repeat_every_and_nothing_firing_is_never_told(
    desk, steps, repeat, quiet
):
    desk.empty()
    desk.reset()
    night = "quiet_hours: {from: '22:00', to: '06:00'}, " if quiet else ""
    desk.write(f"- {{name: checks, to: [people], {night}repeat_every: {repeat or 'null'}}}")
    heard, broken, worst = [], False, Severity.WARNING
    news = 0  # how often telling was right: it began, or became worse

    def listen():
        channel = desk.channel("people")
        heard.extend((desk.now, message.occurrence["state"]) for message in channel.sent)
        channel.sent = []

    for step in steps:
        if isinstance(step, tuple):
            end = desk.now + parse_duration(step[1])
            while desk.now < end:
                desk.now = min(end, desk.now + timedelta(hours=1))
                desk.deliver()
                listen()
            continue
        severity = Severity.ERROR if step == "worse" else Severity.WARNING
        if step == "ends":
            desk.ends()
            broken = False
        else:
            if not broken or severity.rank > worst.rank:
                news += 1
                worst = severity
            desk.fires(severity=severity)
            broken = True
        listen()

    firing = [at for at, state in heard if state == "firing"]
    again = int((desk.now - START) / parse_duration(repeat)) if repeat else 0
    assert len(firing) <= news + again
    window = parse_duration(repeat) if repeat else timedelta(hours=4)
    if "worse" not in steps:  # what comes and goes is told three times in a window, and once as it stands
        assert all(sum(at <= each < at + window for each in firing) <= 7 for at in firing)

    # Who was told last knows how it stands, once the night and the window are over.
    desk.now += timedelta(hours=1)
    for _ in range(30):
        desk.deliver()
        listen()
        desk.now += timedelta(hours=1)
    if broken:
        assert heard, "it goes on and nobody was told"
        assert heard[-1][1] == "firing"
    elif heard:
        assert heard[-1][1] == "resolved"


def test_clock_of_who_reports_may_be_ahead(desk):
    desk.write("- {name: checks, to: [people]}")
    desk.fires(at=desk.now + timedelta(hours=2))
    desk.ends(at=desk.now + timedelta(hours=2))
    assert desk.told() == [FIRED, OVER]
    assert desk.now.tzinfo is UTC
