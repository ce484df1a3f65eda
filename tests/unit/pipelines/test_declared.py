from pathlib import Path

import pytest

from dteg.connectors.discovery import Component, Components
from dteg.manifest import Manifest
from dteg.pipelines.declared import missing_components
from dteg.pipelines.spec import MarketplaceComponent


def component(version, namespace="streaming"):
    manifest = Manifest(
        name="kafka", namespace=namespace, version=version, kind="extractor", entry_point="kafka:Kafka",
        author="test", description="Made for one test.", category="other",
    )  # fmt: skip
    return Component(manifest, Path())


def problems(found, version="*", source="dteg://streaming/kafka"):
    declared = [MarketplaceComponent(name="kafka", version=version, source=source)]
    return [message for _, message in missing_components(declared, Components(found))]


@pytest.mark.parametrize("source", ["dteg://streaming/kafka", "dteg://streaming/kafka-extractor"])
@pytest.mark.parametrize("version", ["*", "^1.0", "1.2.0", ">=1,<2"])
def test_what_is_there_in_the_range_is_no_problem(source, version):
    assert problems([component("1.2.0")], version, source) == []


def test_what_is_missing_is_told_with_the_command():
    for found in ([], [component("1.0.0", "other")]):
        (message,) = problems(found)
        assert message == (
            "dteg://streaming/kafka is not installed; install what pipelines need with: dteg install"
        )


def test_another_version_is_told_with_the_command():
    (message,) = problems([component("1.2.0")], "^2")
    assert message == (
        "dteg://streaming/kafka is installed as 1.2.0, not ^2; run: dteg install dteg://streaming/kafka@^2"
    )


def test_a_range_that_is_none_is_told():
    (message,) = problems([component("1.2.0")], "newest")
    assert "'newest' is not a range of versions" in message


def test_nothing_declared_is_nothing_asked():
    assert list(missing_components([], Components())) == []
