"""The components that come with dteg can be packed, and work under the name they are installed by."""

import subprocess
import sys

import pytest

from dteg.connectors.discovery import discover
from dteg.packages import build_wheel, inspect_wheel, unpack_wheel
from tests.factories import make_wheel

pytestmark = pytest.mark.integration

OWN = [each for each in discover().values() if each.package.startswith("components.")]
IMPORTED = """
import importlib, json, sys
manifest, entry_point, package = sys.argv[1:]
module, name = entry_point.split(":")
cls = getattr(importlib.import_module(f"{package}.{module}"), name)
assert cls.__module__ == f"{package}.{module}", cls.__module__
assert cls.config_model.model_json_schema()
assert not [each for each in sys.modules if each.split(".")[0] in ("components", "dagster")], "imports more than itself"
"""


@pytest.mark.parametrize("component", OWN, ids=lambda each: each.manifest.slug)
def test_can_be_packed_and_imported(component, tmp_path):
    wheel = build_wheel(component.folder, namespace="dteg", out=tmp_path)
    contents = inspect_wheel(wheel)
    assert contents.config_schema == component.config_model.model_json_schema()
    unpack_wheel(wheel, tmp_path / "site")
    manifest = contents.manifest
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, manifest.slug, manifest.entry_point, manifest.package],
        env={"PYTHONPATH": str(tmp_path / "site")}, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_an_installed_component_shows_in_the_lists_of_dg(tmp_path, monkeypatch):
    from dagster.components.core.package_entry import get_package_objects_in_module

    unpack_wheel(make_wheel(tmp_path, name="kafka"), tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    from importlib.metadata import entry_points

    (entry,) = [
        each
        for each in entry_points(group="dagster_dg_cli.registry_modules")
        if each.name == "streaming.kafka-extractor"
    ]
    ((name, cls),) = get_package_objects_in_module(entry.load())
    assert name == "KafkaExtractor"
    assert cls.get_spec().description == "Made for one test by a factory."
    assert "dteg://streaming/kafka-extractor" in cls.__doc__
    assert "dteg_components.streaming.kafka_extractor.kafka" not in sys.modules
