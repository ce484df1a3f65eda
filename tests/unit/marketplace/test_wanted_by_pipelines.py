"""Which components an install without names takes from the pipelines of a project."""

from dteg.core.project import Project
from dteg.marketplace.plan import declared_by_pipelines


def test_a_step_says_the_kind_of_a_name_that_two_components_share(tmp_path):
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "p.yaml").write_text(
        "pipeline:\n  name: p\n  steps:\n"
        "    - extract: {type: dteg://streaming/files}\n"
        "    - process: {type: dteg://streaming/tidy_processor}\n"
        "    - load: {type: dteg://streaming/files}\n"
    )
    wanted = [str(each) for each in declared_by_pipelines(Project(tmp_path))]
    assert sorted(wanted) == [
        "streaming/files-extractor",
        "streaming/files-loader",
        "streaming/tidy-processor",
    ]
