"""Finding components: the project first, then installed packages, then those that come with dteg; and by namespace."""

import shutil
import sys

import pytest

from dteg.connectors.discovery import Components, discover, find
from dteg.core.errors import ConfigError
from dteg.core.project import Project
from dteg.packages import unpack_wheel
from tests.factories import make_component, make_wheel


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Unpack a wheel of the given component where Python looks for packages."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))

    def install(**component):
        wheel = make_wheel(tmp_path / "wheels", **component)
        unpack_wheel(wheel, tmp_path / "unpacked" / wheel.stem)
        shutil.copytree(tmp_path / "unpacked" / wheel.stem, site, dirs_exist_ok=True)

    return install


@pytest.fixture
def project(tmp_path):
    (tmp_path / "project").mkdir()
    return Project(tmp_path / "project")


def test_an_installed_component_is_found_and_nothing_of_it_is_imported(installed, project):
    installed(name="kafka", namespace="streaming")
    found = find("extractor", "dteg://streaming/kafka", discover(project))
    assert found.package == "dteg_components.streaming.kafka_extractor"
    assert not [name for name in sys.modules if name.startswith("dteg_components")]
    assert found.load().__module__ == "dteg_components.streaming.kafka_extractor.kafka"


@pytest.mark.parametrize("text", ["kafka", "kafka-extractor", "dteg://streaming/kafka", "dteg://streaming/kafka-extractor",
                                  "streaming/kafka", "dteg://kafka"])  # fmt: skip
def test_ways_to_write_it(installed, project, text):
    installed(name="kafka", namespace="streaming")
    assert find("extractor", text, discover(project)).manifest.namespace == "streaming"


def test_a_namespace_is_kept_to(installed, project):
    installed(name="files", namespace="streaming")
    installed(name="files", namespace="other")
    found = discover(project)
    for namespace in ("streaming", "other", "dteg"):
        assert find("extractor", f"dteg://{namespace}/files", found).manifest.namespace == namespace


def test_another_namespace_is_not_taken_in_its_place(installed, project):
    installed(name="kafka", namespace="streaming")
    with pytest.raises(ConfigError, match="install it with: dteg install marketplace://evil/kafka"):
        find("extractor", "dteg://evil/kafka", discover(project))


def test_another_kind_is_not_taken_in_its_place(installed, project):
    installed(name="kafka", namespace="streaming", kind="loader")
    with pytest.raises(ConfigError, match="no extractor"):
        find("extractor", "dteg://streaming/kafka", discover(project))


def test_the_project_wins_over_what_is_installed(installed, project, tmp_path):
    installed(name="kafka", namespace="streaming", version="2.0.0")
    folder = make_component(tmp_path / "own", name="kafka", namespace="streaming", version="1.0.0")
    shutil.copytree(folder, project.components_dir / "extractors" / "kafka")
    found = discover(project)
    assert find("extractor", "kafka", found).manifest.version == "1.0.0"
    assert find("extractor", "dteg://streaming/kafka", found).manifest.version == "1.0.0"
    assert found.everything[0].manifest.version == "1.0.0"


def test_what_is_missing_says_the_install_command(project):
    found = discover(project)
    for text, remedy in [
        ("dteg://streaming/kafka", "dteg install marketplace://streaming/kafka-extractor"),
        ("streaming/kafka", "dteg install marketplace://streaming/kafka-extractor"),
        ("dteg://kafka", "dteg install marketplace://kafka-extractor"),
        (
            "zzzzzz",
            "if it is in the marketplace, install it with: dteg install marketplace://zzzzzz-extractor",
        ),
        ("file", 'did you mean "files"?'),
    ]:
        with pytest.raises(ConfigError) as missing:
            find("extractor", text, found)
        assert str(missing.value).endswith(remedy)


def test_what_comes_with_dteg_is_in_the_namespace_dteg():
    own = [each.manifest for each in discover().everything if each.folder.parts[-3] == "components"]
    assert {manifest.namespace for manifest in own if manifest.name != "mysql"} == {"dteg"}


def test_no_components():
    with pytest.raises(ConfigError, match="no transformer 'dbtt'; did you mean \"dbt\""):
        find("transformer", "dbtt", Components())
