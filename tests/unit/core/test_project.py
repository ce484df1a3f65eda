import pytest

from dteg.core.errors import ConfigError, EnvironmentProblemError
from dteg.core.project import Project


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("DTEG_HOME", "DTEG_POSTGRES_URL", "DAGSTER_HOME"):
        monkeypatch.delenv(name, raising=False)


def test_the_nearest_project_at_or_above_is_found(tmp_path):
    (tmp_path / "pipelines").mkdir()
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert Project.find(inner).root == tmp_path
    (tmp_path / "a" / "dteg.toml").touch()
    assert Project.find(inner).root == tmp_path / "a"


def test_the_current_folder_is_the_default(tmp_path, monkeypatch):
    (tmp_path / "pipelines").mkdir()
    monkeypatch.chdir(tmp_path)
    assert Project.find().root == tmp_path


def test_without_project_the_remedy_is_init(tmp_path):
    with pytest.raises(EnvironmentProblemError, match="make one with: dteg init"):
        Project.find(tmp_path)


def test_dteg_home_wins(tmp_path, monkeypatch):
    (tmp_path / "pipelines").mkdir()
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("DTEG_HOME", str(home))
    assert Project.find(tmp_path).root == home


def test_dteg_home_must_be_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DTEG_HOME", str(tmp_path / "none"))
    with pytest.raises(EnvironmentProblemError, match="none is not a folder; make it with: dteg init"):
        Project.find()


def test_the_state_folder_is_for_its_owner_only(tmp_path):
    assert Project(tmp_path).state_dir.stat().st_mode & 0o777 == 0o700


def test_a_state_folder_that_cannot_be_made_is_a_problem_of_the_environment(tmp_path):
    (tmp_path / ".dteg").touch()
    with pytest.raises(EnvironmentProblemError, match="cannot be made"):
        _ = Project(tmp_path).state_dir


def test_an_empty_url_means_the_embedded_server(tmp_path, monkeypatch):
    monkeypatch.setenv("DTEG_POSTGRES_URL", "")
    assert Project(tmp_path).uses_embedded_postgres
    monkeypatch.setenv("DTEG_POSTGRES_URL", "postgresql://h/d")
    assert not Project(tmp_path).uses_embedded_postgres
    assert Project(tmp_path).warehouse_url() == "postgresql://h/d"


def test_a_url_of_another_database_is_refused_by_the_name_of_its_variable(tmp_path, monkeypatch):
    for text in ("mysql://me:hunter2@h/d", "shop", "postgresql//h/d"):
        monkeypatch.setenv("DTEG_POSTGRES_URL", text)
        with pytest.raises(
            ConfigError, match="DTEG_POSTGRES_URL is not the address of a PostgreSQL"
        ) as caught:
            Project(tmp_path).warehouse_url()
        assert "hunter2" not in str(caught.value)
    monkeypatch.setenv("DTEG_POSTGRES_URL", "host=/run dbname=d")
    assert Project(tmp_path).warehouse_url() == "host=/run dbname=d"


def test_dagster_home_is_inside_unless_the_environment_says_otherwise(tmp_path, monkeypatch):
    assert Project(tmp_path).dagster_home == tmp_path / ".dteg" / "dagster_home"
    monkeypatch.setenv("DAGSTER_HOME", "/d")
    assert str(Project(tmp_path).dagster_home) == "/d"
