import pytest

from dteg.core.errors import ConfigError, NotAvailableError
from dteg.core.identifiers import TableName
from dteg.core.project import Project
from dteg.pipelines.plan import (
    find_pipeline_file,
    load_pipeline,
    pipeline_files,
    pipeline_of,
    refuse_unavailable,
)

FLOW = """
    - extract: {type: files, config: {path: "data/{{ params.day }}.csv"}}
    - load: {type: postgres, config: {table: raw.events}, write: merge, primary_key: [id]}
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "pipelines").mkdir()
    return Project(tmp_path)


@pytest.fixture
def load(project):
    def run(steps=FLOW, top="", name="p", **options):
        path = project.pipelines_dir / f"{name}.yaml"
        path.write_text(f"pipeline:\n  name: {name}\n  params: {{day: monday, n: 1}}\n{top}\n  steps:{steps}")
        return load_pipeline(path, project, **options)

    return run


def refused(load, *args, **kwargs):
    with pytest.raises(ConfigError) as caught:
        load(*args, **kwargs)
    return str(caught.value)


def test_a_flow_has_its_parts_with_rendered_configs(load):
    pipeline = load()
    (flow,) = pipeline.flows
    assert (flow.extractor.config.path, flow.loader.config.table) == ("data/monday.csv", "raw.events")
    assert pipeline.targets() == [TableName("raw", "events")]
    assert pipeline.file == "pipelines/p.yaml"


def test_params_of_the_run_win_and_unknown_ones_are_refused(load):
    assert load(params={"day": "friday"}).flows[0].extractor.config.path == "data/friday.csv"
    assert "pipelines/p.yaml:3: pipeline.params: unknown parameter 'dya'; did you mean \"day\"?" in refused(
        load, params={"dya": 1}
    )


def test_an_extractor_of_several_streams_has_a_target_for_each(load):
    steps = """
    - extract: {type: postgres, config: {tables: [public.a, public.b]}}
    - load: {type: postgres, config: {table: "raw.{stream}"}}
"""
    assert [str(target) for target in load(steps).targets()] == ["raw.a", "raw.b"]


def test_one_target_is_loaded_once(load):
    assert "raw.events is loaded twice in one pipeline" in refused(load, FLOW + FLOW)


def test_every_problem_of_the_parts_is_told_with_its_line(load):
    steps = """
    - extract: {type: fils, config: {path: a.csv}}
    - process: {type: rename, config: {colums: {a: b}}}
    - load:
        type: postgres
        config:
          tabel: raw.x
"""
    lines = refused(load, steps).splitlines()
    assert any(
        "p.yaml:6: pipeline.steps[0].extract.type: no extractor 'fils'; did you mean \"files\"?" in line
        for line in lines
    )
    assert any(
        "p.yaml:7: pipeline.steps[1].process.config.colums: unknown key 'colums'" in line for line in lines
    )
    assert any(
        "p.yaml:11: pipeline.steps[2].load.config.tabel: unknown key 'tabel'; did you mean \"table\"?" in line
        for line in lines
    )


def test_a_component_of_the_marketplace_says_how_to_install_it(load):
    steps = FLOW.replace("type: files", 'type: "dteg://streaming/kafka"')
    assert "install it with: dteg install marketplace://streaming/kafka" in refused(load, steps)


def test_the_long_name_of_a_component_is_its_short_name(load):
    assert (
        load(FLOW.replace("type: files", 'type: "dteg://files-extractor"'))
        .flows[0]
        .extractor.component.manifest.name
        == "files"
    )


def test_a_template_that_cannot_be_rendered_is_told_with_its_line(load):
    assert "p.yaml:6: pipeline.steps[0].extract.config.path: " in refused(
        load, FLOW.replace("params.day", "params.dya")
    )


def test_append_needs_something_that_keeps_rows_apart(load):
    steps = """
    - extract: {type: postgres, config: {table: public.a}}
    - load: {type: postgres, config: {table: raw.a}, write: append}
"""
    assert "append would load the same rows again on every run; add cursor: column" in refused(load, steps)
    assert load(steps.replace("append}", "append, cursor: id}"))
    assert load(
        steps.replace("postgres, config: {table: public.a}", "files, config: {path: a.csv}")
    )  # resumable


def test_a_loader_is_asked_only_for_what_it_can(load):
    steps = """
    - extract: {type: files, config: {path: a.csv}}
    - load: {type: files, config: {path: out.csv}, write: merge, primary_key: [id]}
"""
    assert "loader 'files' cannot merge; it can: " in refused(load, steps)


RULES = """
  quality:
    validation_rules:
      - {type: unique, columns: [id], table: %s}
      - {type: null_check, columns: [id], table: raw.b}
"""
TWO = """
    - extract: {type: postgres, config: {tables: [public.a, public.b]}}
    - load: {type: postgres, config: {table: "raw.{stream}"}}
"""


def test_rules_belong_to_the_table_they_name(load):
    pipeline = load(TWO, RULES % "raw.a")
    names = {str(target): [name for name, _ in pipeline.rules_for(target)] for target in pipeline.targets()}
    assert names == {"raw.a": ["unique_id"], "raw.b": ["null_check_id"]}


def test_a_rule_without_table_belongs_to_the_only_one(load):
    top = "  quality: {validation_rules: [{type: unique, columns: [id]}]}"
    pipeline = load(FLOW, top)
    assert [name for name, _ in pipeline.rules_for(TableName("raw", "events"))] == ["unique_id"]
    assert "say which table: one of raw.a, raw.b" in refused(load, TWO, top)


def test_a_rule_for_a_table_that_is_not_loaded_is_refused(load):
    message = refused(load, TWO, RULES % "raw.aa")
    assert "validation_rules[0]" in message
    assert "this pipeline does not load 'raw.aa'; did you mean" in message


def test_what_this_version_does_not_run_is_named(load):
    pipeline = load(FLOW, "  security: {encryption: [ssn]}")
    with pytest.raises(
        NotAvailableError, match=r"not available yet: security\.encryption in pipelines/p\.yaml"
    ):
        refuse_unavailable(pipeline)
    refuse_unavailable(load())


def test_a_pipeline_is_found_by_path_or_name(load, project):
    load(name="orders")
    path = project.pipelines_dir / "orders.yaml"
    assert find_pipeline_file("orders", project) == path
    assert find_pipeline_file(str(path), project) == path
    assert find_pipeline_file("pipelines/orders.yaml", project) == path
    with pytest.raises(
        ConfigError, match=r"there is no pipeline 'order' in pipelines/; did you mean \"orders\"\?"
    ):
        find_pipeline_file("order", project)
    assert find_pipeline_file("orders.yaml", project) == path
    with pytest.raises(
        ConfigError, match=r"there is no file order\.yaml; did you mean \"pipelines/orders\.yaml\"\?"
    ):
        find_pipeline_file("order.yaml", project)


def test_a_folder_of_a_pipelines_name_does_not_hide_the_pipeline(load, project, monkeypatch):
    load(name="orders")
    (project.root / "orders").mkdir()
    monkeypatch.chdir(project.root)
    assert find_pipeline_file("orders", project) == project.pipelines_dir / "orders.yaml"
    with pytest.raises(ConfigError, match="is a folder; name a pipeline"):
        find_pipeline_file("./pipelines/../pipelines", project)


def test_only_yaml_files_are_pipelines(load, project, tmp_path):
    load(name="b")
    (project.pipelines_dir / "a.yml").touch()
    (project.pipelines_dir / "readme.md").touch()
    assert [path.name for path in pipeline_files(project)] == ["a.yml", "b.yaml"]
    assert list(pipeline_files(Project(tmp_path / "none"))) == []


def test_the_maker_of_a_table_is_found_and_broken_files_are_passed_over(load, project):
    load(name="orders")
    (project.pipelines_dir / "a.yaml").write_text("pipeline: [")
    assert pipeline_of(TableName("raw", "events"), project) == "orders"
    assert pipeline_of(TableName("raw", "other"), project) is None


def test_the_connector_of_the_project_replaces_the_one_that_comes_with_dteg(load, project, tmp_path):
    folder = tmp_path / "components" / "extractors" / "files"
    folder.mkdir(parents=True)
    (folder / "dteg.yaml").write_text(
        "name: files\nversion: 9.0.0\nkind: extractor\nentry_point: mine:Mine\nauthor: me\ndescription: My own files.\ncategory: other\n"
    )
    (folder / "mine.py").write_text(
        "from dteg.testing.memory import MemoryExtractor\nclass Mine(MemoryExtractor):\n    pass\n"
    )
    steps = FLOW.replace('{path: "data/{{ params.day }}.csv"}', "{streams: {a: {types: {id: bigint}}}}")
    pipeline = load(steps)
    assert pipeline.flows[0].extractor.component.manifest.version == "9.0.0"
