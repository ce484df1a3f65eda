import json

import pytest

from dteg.core import yaml
from dteg.core.errors import ConfigError
from dteg.pipelines.spec import PipelineFile

DESIGN_EXAMPLE = r"""
pipeline:
  name: example_elt
  schedule: "0 12 * * *"
  components:
    marketplace:
      - {name: kafka-extractor, version: "^1.0.0", source: "dteg://streaming/kafka"}
  security: {encryption: [ssn], data_masking: [email, phone], access_level: restricted}
  quality:
    validation_rules:
      - {type: null_check, columns: [id, email]}
      - {type: format_check, column: email, pattern: "^[^@]+@[^@]+$"}
%s
  monitoring:
    alerts:
      - {type: slack, channel: "#data-alerts", on: failure}
      - {type: email, recipients: [data-team@example.com], when: "rows_loaded > 1000"}
"""
STEPS_FORM = """
  steps:
    - extract: {type: "dteg://kafka-extractor", config: {bootstrap_servers: "kafka:9092", topic: data-stream}}
    - process: {type: timestamp_converter, config: {timezone: Asia/Seoul, fields: [created_at]}}
    - load: {type: postgres, config: {table: raw.events}, write: merge, primary_key: [id], cursor: updated_at}
    - transform: {type: dbt, select: "+events", tests: true}
"""
SHORT_FORM = """
  extract: {type: "dteg://kafka-extractor", config: {bootstrap_servers: "kafka:9092", topic: data-stream}}
  process: {type: timestamp_converter, config: {timezone: Asia/Seoul, fields: [created_at]}}
  load: {type: postgres, config: {table: raw.events}, write: merge, primary_key: [id], cursor: updated_at}
  transform: [{type: dbt, select: "+events", tests: true}]
"""


def parse(text):
    return yaml.validate(yaml.parse(text, "p.yaml"), PipelineFile).pipeline


def make_file(steps=None, **keys):
    """Return a pipeline file as JSON, which is YAML."""
    steps = steps or [{"extract": {"type": "files"}}, {"load": {"type": "postgres"}}]
    return json.dumps({"pipeline": {"name": "p", "steps": steps, **keys}})


def load_step(**keys):
    return make_file([{"extract": {"type": "files"}}, {"load": {"type": "postgres", **keys}}])


def test_the_whole_form_of_the_design_is_accepted_and_both_ways_to_write_it_mean_the_same():
    steps, short = (parse(DESIGN_EXAMPLE % form) for form in (STEPS_FORM, SHORT_FORM))
    assert list(steps.ordered_steps()) == list(short.ordered_steps())
    assert [next(iter(step.model_fields_set)) for step in steps.ordered_steps()] == [
        "extract",
        "process",
        "load",
        "transform",
    ]
    assert steps.unavailable() == [
        "security.encryption", "security.data_masking", "security.access_level: restricted",
    ]  # fmt: skip
    assert steps.monitoring.alerts[0].on == "failure"


def test_several_flows_in_one_file_keep_their_order():
    flow = [{"extract": {"type": "a"}}, {"process": {"type": "b"}}, {"load": {"type": "c"}}]
    spec = parse(
        make_file(
            [*flow, *flow, {"transform": {"type": "dbt"}}, {"transform": {"type": "sql", "file": "x.sql"}}]
        )
    )
    assert len(list(spec.ordered_steps())) == 8


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (make_file(name="Bad Name"), "p.yaml:1: pipeline.name: must be small letters, digits and _"),
        (make_file(name="x" * 64), "pipeline.name"),
        (make_file(schedule="every day"), "'every day' is not a cron expression of five fields"),
        (make_file(schedule="61 * * * *"), "'61 * * * *' is not a cron expression"),
        (make_file(schedule="* * * * * *"), "is not a cron expression of five fields"),
        (make_file(timezone="Seoul"), "unknown time zone 'Seoul'"),
        (make_file(timezone="../etc/passwd"), "unknown time zone"),
        (make_file(freshness={"max_age": "soon"}), "'soon' is not a duration"),
        (make_file(freshness={}), "pipeline.freshness.max_age: this key is required"),
        (make_file(watch={"every_s": 1}), "pipeline.watch.every_s: must be at least 5"),
        (make_file(retry={"max_attempts": 0}), "pipeline.retry.max_attempts"),
        (make_file(steps=[{"load": {"type": "x"}}]), "steps[0]: a load step needs an extract before it"),
        (make_file(steps=[{"process": {"type": "x"}}]), "steps[0]: a process step needs an extract before it"),
        (make_file(steps=[{"extract": {"type": "x"}}]), "steps[0]: this extract has no load"),
        (make_file(steps=[{"extract": {"type": "x"}}, {"extract": {"type": "y"}}]), "the extract in steps[0] has no load yet"),
        (
            make_file(steps=[{"transform": {"type": "dbt"}}, {"extract": {"type": "x"}}, {"load": {"type": "y"}}]),
            "steps[1]: transforms come after all loads",
        ),
        (make_file(steps=[{"extract": {"type": "x"}, "load": {"type": "y"}}]), "a step is exactly one of"),
        (make_file(steps=[{}]), "a step is exactly one of"),
        (make_file(extract={"type": "x"}), "use either steps: or extract/process/load/transform, not both"),
        ('{"pipeline": {"name": "p"}}', "a pipeline needs steps"),
        (load_step(write="merge"), "write: merge needs primary_key"),
        (load_step(write="scd2"), "write: scd2 needs primary_key"),
        (load_step(write="merge", primary_key=["id", "id"]), "primary_key names a column twice"),
        (load_step(write="upsert"), "must be 'append', 'replace', 'merge' or 'scd2'"),
        (load_step(write="merge", primary_key=["id"], lookback="2h"), "lookback needs cursor: column"),
        (load_step(write="append", cursor="c", lookback="2h"), "lookback with append would load rows twice"),
        (load_step(write="merge", primary_key=["id"], cursor="c", lookback="soon"), "'soon' is not a duration"),
        (load_step(write="merge", primary_key=["id"], cursor="c", lookback=-5), "must be at least 0"),
        (load_step(write="replace", cursor="c"), "write: replace with a cursor would drop older rows"),
        (load_step(max_bad_rows="10%"), "max_bad_rows: must be a whole number"),
        (load_step(primary_key="id"), "primary_key: must be a list, such as [a, b]"),
        (make_file(tags={"team": 1}), "pipeline.tags.team: must be a text (a number, true or false in quotes)"),
        (make_file(params={"a": [1]}), "pipeline.params.a: must be a text or a number or true or false"),
        (load_step(max_bad_rows=-1), "max_bad_rows: must be at least 0"),
        (load_step(schema_policy="freez"), "must be 'evolve', 'freeze' or 'quarantine'; did you mean \"freeze\"?"),
        (load_step(schema_polcy="freeze"), 'unknown key \'schema_polcy\'; did you mean "schema_policy"?'),
        (make_file([{"transform": {"type": "sql"}}]), "type: sql needs file: path"),
        (make_file([{"transform": {"type": "dbt", "file": "x"}}]), "type: dbt takes select, not file"),
        (make_file(quality={"validation_rules": [{"type": "nul_check"}]}), "'null_check'"),
        (make_file(quality={"validation_rules": [{"type": "null_check"}]}), "validation_rules[0].columns: this key is required"),
        (make_file(components={"marketplace": [{"name": "x", "source": "http://x"}]}), "must be written like the pattern ^dteg://"),
        (make_file(security={"access_level": "secret"}), "pipeline.security.access_level"),
        (make_file(schedul="0 0 * * *"), 'unknown key \'schedul\'; did you mean "schedule"?'),
        (make_file(params={"a": [1]}), "pipeline.params.a"),
        ('{"pipelines": {}}', 'unknown key \'pipelines\'; did you mean "pipeline"?'),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(text, message):
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert message in str(caught.value)
    assert all(str(problem).startswith("p.yaml:1: ") for problem in caught.value.problems)


def test_a_spec_cannot_change_after_it_was_checked():
    with pytest.raises(Exception, match="frozen"):
        parse(make_file()).name = "other"


def test_defaults_are_the_careful_ones():
    spec = parse(make_file())
    load = spec.steps[1].load
    assert (spec.enabled, spec.timezone, load.write, load.max_bad_rows, load.schema_policy) == (
        False,
        "UTC",
        "replace",
        0,
        "evolve",
    )


def test_the_json_schema_describes_every_key():
    definitions = PipelineFile.model_json_schema()["$defs"]
    bare = [
        f"{owner}.{name}"
        for owner, model in definitions.items()
        for name, field in model.get("properties", {}).items()
        if "description" not in field
    ]
    assert bare == []
    assert all(
        model.get("additionalProperties") is False for model in definitions.values() if "properties" in model
    )
