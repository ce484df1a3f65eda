"""The same suite for cron jobs here and through a studio, and for pruning."""

from datetime import UTC, datetime

import pytest

from dteg.core.errors import ConfigError, ConflictError, NotFoundError
from dteg.cron.models import JobState, NewCronJob
from dteg.cron.remote import RemoteCronJobs
from dteg.cron.service import CronJobs
from dteg.pruning import PruneOrder, Pruning
from dteg.pruning.remote import RemotePruning

pytestmark = pytest.mark.integration


@pytest.fixture(params=["library", "studio"])
def where(request, studio_project):
    """Makes a service: here, or through a studio over the same project."""
    if request.param == "library":
        return lambda local, remote: local.of(studio_project)
    running = request.getfixturevalue("studio")
    return lambda local, remote: remote(running.client)


@pytest.fixture
def cron(where):
    return where(CronJobs, RemoteCronJobs)


def make_new(name="nightly", **values):
    return NewCronJob(**{"name": name, "schedule": "0 2 * * *", "action": "backup shop", **values})


def test_job_from_beginning_to_end(cron, studio_project):
    assert cron.jobs() == []
    added = cron.add(make_new(timezone="Asia/Seoul", description="Every night."))
    assert (added.id, added.state, added.action) == ("nightly", JobState.RUNNING, "backup shop")
    assert added.next_at > datetime.now(UTC)
    assert added.next_at.hour == 17
    assert added.file == "cron/nightly.yaml"
    assert cron.get("nightly") == added
    assert [job.state for job in cron.stop(["nightly"])] == [JobState.STOPPED]
    assert [job.state for job in cron.start()] == [JobState.RUNNING]
    assert cron.add(make_new(schedule="0 3 * * *", replace=True)).schedule == "0 3 * * *"
    cron.add(make_new("weekly", action="verify backups", enabled=False))
    assert [(job.id, job.state) for job in cron.jobs()] == [
        ("nightly", JobState.RUNNING),
        ("weekly", JobState.STOPPED),
    ]
    assert cron.history() == cron.history("nightly", 5) == []
    cron.remove("nightly")
    assert [job.id for job in cron.jobs()] == ["weekly"]
    assert [path.name for path in (studio_project.root / "cron").iterdir()] == ["weekly.yaml"]


def test_refusals_are_the_same_errors(cron, studio_project):
    cron.add(make_new())
    with pytest.raises(ConflictError, match="--replace"):
        cron.add(make_new())
    for ask in (cron.get, cron.remove, cron.history, lambda name: cron.start([name])):
        with pytest.raises(NotFoundError, match='did you mean "nightly"'):
            ask("nihgtly")
    with pytest.raises(ConfigError, match="no action of a cron job"):
        cron.add(make_new("other", action="make coffee"))
    with pytest.raises(NotFoundError, match="no source 'sales'"):
        cron.add(make_new("other", action="metadata sales"))
    with pytest.raises(NotFoundError, match="no dataset 'sales'"):
        cron.add(make_new("other", action="refresh dataset sales"))
    with pytest.raises(ConfigError, match="nowhere"):
        cron.add(make_new("other", action="run pipeline nowhere"))
    with pytest.raises(ConfigError, match="cron expression"):
        cron.preview("often")
    assert [path.name for path in (studio_project.root / "cron").iterdir()] == ["nightly.yaml"]


def test_broken_file_is_the_same_everywhere(cron, studio_project):
    folder = studio_project.root / "cron"
    folder.mkdir()
    (folder / "bad.yaml").write_text("cron: {name: bad, schedule: often, action: prune}\n")
    (job,) = cron.jobs()
    assert (job.state, job.problem.startswith("cron/bad.yaml:1: cron.schedule")) == (JobState.BROKEN, True)
    assert cron.get("bad") == job


def test_preview(cron):
    preview = cron.preview("30 6 1 * *", "Europe/Paris", 3)
    assert preview.words == "At 06:30 on the first day of every month"
    assert len(preview.next_at) == 3
    assert all(at.tzinfo is not None for at in preview.next_at)


def test_pruning_of_a_project_without_dagster(where, studio_project):
    report = where(Pruning, RemotePruning).prune(PruneOrder(older_than="7d", dry_run=True))
    assert (report.dry_run, report.runs, report.bytes_before) == (True, 0, 0)
    assert not (studio_project.state_dir / "dagster_home").exists()
