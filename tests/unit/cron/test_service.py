"""What the service does with files and with who runs the jobs, here a scheduler in memory."""

import itertools
from datetime import UTC, datetime

import pytest

from dteg.core.errors import ConfigError, ConflictError, NotFoundError, UnavailableError
from dteg.core.project import Project
from dteg.cron.models import CronRun, JobState, NewCronJob, RunState
from dteg.cron.service import CronJobs

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


class MemoryScheduler:
    """Remembers what it was told; fails on request."""

    knows_all = True

    def __init__(self, project):
        self.project = project
        self.on = {}
        self.told = []
        self.error = None
        self.past = []

    def _tell(self, what):
        self.told.append(what)
        if self.error:
            raise self.error

    def take_up(self, spec):
        self._tell(f"take up {spec.name}")
        self.on[spec.name] = spec.enabled

    def reload(self):
        self._tell("reload")
        files = {path.stem for path in (self.project.root / "cron").glob("*.yaml")}
        self.on = {name: on for name, on in self.on.items() if name in files}

    def switch(self, names, *, on):
        for name in names:
            self._tell(f"{'start' if on else 'stop'} {name}")
            if name in self.on:
                self.on[name] = on

    def states(self):
        return dict(self.on)

    def runs(self, names, limit):
        return [run for name in names for run in [run for run in self.past if run.job == name][:limit]]


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.fixture
def scheduler(project):
    return MemoryScheduler(project)


@pytest.fixture
def cron(project, scheduler):
    return CronJobs(project, scheduler, lambda: NOW)


def make_new(**values):
    return NewCronJob(**{"name": "nightly", "schedule": "0 2 * * *", "action": "backup shop", **values})


def text_of(project, name="nightly"):
    return (project.root / "cron" / f"{name}.yaml").read_text()


def test_job_runs_from_when_it_is_added(cron, scheduler, project):
    job = cron.add(make_new())
    assert (job.id, job.state, job.action) == ("nightly", JobState.RUNNING, "backup shop")
    assert job.next_at == datetime(2026, 11, 22, 2, tzinfo=UTC)
    assert job.file == "cron/nightly.yaml"
    assert scheduler.told == ["take up nightly"]
    assert 'schedule: "0 2 * * *"' in text_of(project)


def test_job_can_be_added_without_running(cron):
    job = cron.add(make_new(enabled=False))
    assert (job.state, job.next_at) == (JobState.STOPPED, None)


def test_name_that_is_taken_needs_replace(cron, project):
    cron.add(make_new())
    before = text_of(project)
    with pytest.raises(ConflictError, match="--replace"):
        cron.add(make_new(schedule="0 3 * * *"))
    assert text_of(project) == before
    assert cron.add(make_new(schedule="0 3 * * *", replace=True)).schedule == "0 3 * * *"


@pytest.mark.parametrize("replace", [False, True])
def test_job_that_cannot_be_taken_up_leaves_everything_as_it_was(cron, scheduler, project, replace):
    if replace:
        cron.add(make_new())
    before = text_of(project) if replace else None
    scheduler.told.clear()
    scheduler.error = ConfigError("the code location dteg does not load: boom")
    with pytest.raises(ConfigError, match="boom"):
        cron.add(make_new(schedule="0 3 * * *", replace=replace))
    assert (text_of(project) if replace else None) == before
    assert bool(list((project.root / "cron").glob("*.yaml"))) is replace
    assert scheduler.told == ["take up nightly", "reload"]  # Dagster is shown the old file again


def test_start_and_stop_write_the_file_too(cron, scheduler, project):
    cron.add(make_new())
    (job,) = cron.stop(["nightly"])
    assert (job.state, scheduler.on) == (JobState.STOPPED, {"nightly": False})
    assert "enabled: false" in text_of(project)
    (job,) = cron.start(["nightly"])
    assert (job.state, scheduler.on) == (JobState.RUNNING, {"nightly": True})
    assert "enabled: true" in text_of(project)


def test_all_jobs_are_switched_but_broken_ones(cron, project):
    cron.add(make_new(name="one"))
    cron.add(make_new(name="two"))
    (project.root / "cron" / "bad.yaml").write_text("cron: {}\n")
    assert [job.id for job in cron.stop()] == ["one", "two"]
    with pytest.raises(ConfigError, match=r"cron/bad\.yaml"):
        cron.start(["bad"])


def test_unknown_job_starts_none_of_the_others(cron, scheduler):
    cron.add(make_new(enabled=False))
    with pytest.raises(NotFoundError, match='did you mean "nightly"'):
        cron.start(["nightly", "nihgtly"])
    assert scheduler.on == {"nightly": False}


def test_switch_that_fails_leaves_the_file_alone(cron, scheduler, project):
    cron.add(make_new())
    before = text_of(project)
    scheduler.error = UnavailableError("Dagster is starting")
    with pytest.raises(UnavailableError):
        cron.stop(["nightly"])
    assert text_of(project) == before


def test_job_is_stopped_before_it_is_removed(cron, scheduler, project):
    cron.add(make_new())
    scheduler.told.clear()
    cron.remove("nightly")
    assert scheduler.told == ["stop nightly", "reload"]
    assert cron.jobs() == []
    with pytest.raises(NotFoundError):
        cron.remove("nightly")


def test_removal_that_fails_leaves_the_job_running(cron, scheduler, project):
    cron.add(make_new())
    before = text_of(project)
    real = scheduler.reload

    def fail_once():
        scheduler.reload = real
        raise ConfigError("the code location dteg does not load: boom")

    scheduler.reload = fail_once
    with pytest.raises(ConfigError, match="boom"):
        cron.remove("nightly")
    assert text_of(project) == before
    assert scheduler.on == {"nightly": True}


def test_broken_file_is_listed_with_its_problem_and_can_be_removed(cron, project):
    folder = project.root / "cron"
    folder.mkdir()
    (folder / "bad.yaml").write_text("cron: {name: bad}\n")
    (job,) = cron.jobs()
    assert (job.id, job.state) == ("bad", JobState.BROKEN)
    assert "cron/bad.yaml:1: cron.schedule: this key is required" in job.problem
    cron.remove("bad")
    assert cron.jobs() == []


def test_file_that_dagster_has_not_seen_does_not_pass_for_running(cron, project):
    folder = project.root / "cron"
    folder.mkdir()
    (folder / "nightly.yaml").write_text("cron: {name: nightly, schedule: 0 2 * * *, action: prune}\n")
    (job,) = cron.jobs()
    assert (job.state, job.next_at) == (JobState.STOPPED, None)
    assert "has not loaded this file yet" in job.problem


def test_state_of_the_scheduler_wins_over_the_file(cron, scheduler):
    cron.add(make_new())
    scheduler.on["nightly"] = False  # somebody stopped it on Dagster's page
    assert cron.get("nightly").state is JobState.STOPPED


def test_last_run_and_history(cron, scheduler):
    cron.add(make_new(name="one"))
    cron.add(make_new(name="two"))
    scheduler.past = [
        CronRun(job=job, state=state, at=NOW)
        for job, state in (("one", RunState.FAILED), ("one", RunState.SUCCEEDED), ("two", RunState.SUCCEEDED))
    ]
    assert {job.id: job.last_run.state for job in cron.jobs()} == {
        "one": RunState.FAILED,
        "two": RunState.SUCCEEDED,
    }
    assert [run.state for run in cron.history("one")] == [RunState.FAILED, RunState.SUCCEEDED]
    assert len(cron.history(limit=2)) == 2
    with pytest.raises(NotFoundError):
        cron.history("three")


def test_pipeline_must_be_there(cron, project):
    (project.root / "pipelines").mkdir()
    with pytest.raises(ConfigError, match="flights"):
        cron.add(make_new(action="run pipeline flights"))
    assert not (project.root / "cron").exists()


def test_metadata_of_the_warehouse_needs_no_source(cron):
    assert cron.add(make_new(action="metadata warehouse")).action == "metadata warehouse"


def test_preview(cron):
    preview = cron.preview("0 9 * * 1-5", "Asia/Seoul", 2)
    assert "Monday through Friday" in preview.words
    assert preview.next_at == [datetime(2026, 11, 23, tzinfo=UTC), datetime(2026, 11, 24, tzinfo=UTC)]
    for schedule, zone in (("often", "UTC"), ("0 9 * * *", "Mars")):
        with pytest.raises(ConfigError):
            cron.preview(schedule, zone)


def test_two_at_once_wait_for_each_other(cron, project, monkeypatch):
    from dteg.cron import files

    other = CronJobs(project, MemoryScheduler(project), lambda: NOW)
    times = itertools.chain([0.0, 0.0], itertools.repeat(100.0))  # of this whole process: others may ask, too
    monkeypatch.setattr(files.time, "monotonic", lambda: next(times))
    with cron._files.alone(), pytest.raises(ConflictError, match="somebody else"):
        other.add(make_new())
