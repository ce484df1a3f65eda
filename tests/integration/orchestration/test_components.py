"""The component types, as a `defs.yaml` uses them."""

import dagster as dg
import pytest
import yaml

from orchestration.lib import PipelineComponent, PipelinesFolder

pytestmark = pytest.mark.integration


def defs_of(component):
    return component.build_defs(dg.ComponentTree.for_test().load_context)


def test_pipeline_by_path_and_folder_build_the_same(folder):
    folder.pipeline("events")
    by_path = defs_of(PipelineComponent.resolve_from_yaml("path: pipelines/events.yaml"))
    by_folder = defs_of(PipelinesFolder.resolve_from_yaml("path: pipelines"))
    by_default = defs_of(PipelinesFolder.resolve_from_yaml("{}"))
    for definitions in (by_path, by_folder, by_default):
        repository = definitions.get_repository_def()
        assert repository.asset_graph.get_all_asset_keys() == {dg.AssetKey(["raw", "events"])}
        assert repository.has_job("events")


def test_inline_pipeline_keeps_its_templates_for_the_run(folder, instance):
    path = folder.pipeline("events", extra="params: {day: 3}", rows="[{id: '{{ params.day }}'}]")
    inline = yaml.safe_dump(yaml.safe_load(path.read_text()))
    path.unlink()
    definitions = defs_of(PipelineComponent.resolve_from_yaml(inline))
    config = {"ops": {"events__load": {"config": {"params": {"day": 5}}}}}
    assert (
        definitions.resolve_job_def("events").execute_in_process(run_config=config, instance=instance).success
    )
    assert folder.table("raw.events") == [{"id": 5}]


@pytest.mark.parametrize("attributes", ["{}", "{path: a.yaml, pipeline: {name: a}}"])
def test_exactly_one_of_path_and_pipeline(attributes):
    with pytest.raises(Exception, match="exactly one of path and pipeline"):
        PipelineComponent.resolve_from_yaml(attributes)
