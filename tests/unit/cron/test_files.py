"""Files of cron jobs."""

import textwrap

import pytest

from dteg.core.errors import ConfigError
from dteg.core.project import Project
from dteg.cron.files import CronFiles, rendered
from dteg.cron.spec import CronSpec, cron_files, load_job


@pytest.fixture
def project(tmp_path):
    (tmp_path / "cron").mkdir()
    return Project(tmp_path)


def write(project, name, text):
    path = project.root / "cron" / f"{name}.yaml"
    path.write_text(textwrap.dedent(text))
    return path


def make_spec(**values):
    return CronSpec(**{"name": "nightly", "schedule": "0 2 * * *", "action": "backup shop", **values})


@pytest.mark.parametrize(
    ("values"),
    [
        {},
        {"enabled": False, "timezone": "Asia/Seoul"},
        {
            "description": "on: no, #1 \U0001f600\n second 'line'",
            "tags": {"a": "1e3", "b": "null", "c": "0x10"},
        },
        {"action": "backup 'my shop' --to s3://b/f"},
    ],
)
def test_file_is_read_as_it_was_written(project, values):
    spec = make_spec(**values)
    CronFiles(project).write(spec)
    (path,) = cron_files(project)
    assert load_job(path, project) == spec
    assert [each.name for each in path.parent.iterdir()] == ["nightly.yaml"]  # nothing is left beside it


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cron:\n  name: nightly\n  shedule: x\n", 'cron/nightly.yaml:3: cron.shedule: unknown key \'shedule\'; did you mean "schedule"?'),
        ("cron:\n  name: nightly\n  schedule: often\n  action: prune\n", "cron/nightly.yaml:3: cron.schedule: 'often' is not a cron"),
        ("cron:\n  name: nightly\n  schedule: 0 2 * * *\n  action: prone\n", "cron/nightly.yaml:4: cron.action: 'prone' is no action"),
        ("cron:\n  name: other\n  schedule: 0 2 * * *\n  action: prune\n", "cron/nightly.yaml:2: cron.name: the file of this job is cron/other.yaml"),
        ("cron:\n  name: nightly\n  schedule: 0 2 * * *\n  action: prune\n  timezone: Mars\n", "cron/nightly.yaml:5: cron.timezone: unknown time zone"),
        ("cron: [", "cron/nightly.yaml:1: not valid YAML"),
        ("", "expected a mapping"),
    ],
)  # fmt: skip
def test_wrong_file_is_told_with_its_line(project, text, said):
    with pytest.raises(ConfigError) as caught:
        load_job(write(project, "nightly", text), project)
    assert said in str(caught.value)


def test_action_of_metadata_is_read(project):
    path = write(project, "nightly", "cron: {name: nightly, schedule: 0 2 * * *, action: metadata x}")
    assert load_job(path, project).parsed.name == "x"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("  enabled: true # for now\n", "  enabled: false # for now\n"),
        ("  enabled:   yes\n", "  enabled:   false\n"),
        ("", "  enabled: false\n"),
    ],
)
def test_switch_leaves_comments_and_order_alone(project, before, after):
    head = "# ours\ncron:\n  name: nightly\n  schedule: 0 2 * * * # at night\n"
    path = write(project, "nightly", f"{head}{before}  action: backup shop\n")
    CronFiles(project).switch(path, load_job(path, project), on=False)
    assert path.read_text() == f"{head}{after}  action: backup shop\n"
    assert load_job(path, project).enabled is False


def test_switch_of_a_file_in_another_form_writes_it_anew(project):
    path = write(project, "nightly", "cron: {name: nightly, schedule: 0 2 * * *, action: backup shop}")
    CronFiles(project).switch(path, load_job(path, project), on=False)
    assert load_job(path, project) == make_spec(enabled=False)
    assert path.read_text() == rendered(make_spec(enabled=False))


def test_file_is_as_before_after_a_failure(project):
    files = CronFiles(project)
    old = write(project, "old", "# mine\n")
    new = files.path("new")

    def interrupted(path):
        with files.restored_on_error(path):
            path.write_text("half")
            raise KeyboardInterrupt

    for path, before in ((old, "# mine\n"), (new, None)):
        with pytest.raises(KeyboardInterrupt):
            interrupted(path)
        assert (path.read_text() if path.exists() else None) == before
