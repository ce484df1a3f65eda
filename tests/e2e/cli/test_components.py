"""`dteg create` and `dteg test` from outside: a new component works, and a broken one is told where."""

import json
import shutil

import pytest

from dteg.scaffold.component import KINDS


@pytest.fixture
def project(shell):
    """A project of its own for each test."""
    (shell.folder / "pipelines").mkdir()
    return shell


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_component_passes_its_tests_at_once(project, kind):
    made = project("create", kind, "shop", "--author", "me").stdout
    assert made.count("made   components/") == 4
    assert f"Next: dteg test shop-{kind}" in made
    done = project.process("test", f"shop-{kind}", DTEG_TEST_POSTGRES_URL=project.url)
    assert f"shop-{kind} 0.1.0: " in done.stdout
    assert "failed" not in done.stdout
    assert "skipped" not in done.stdout
    assert "coverage 100 %" in done.stdout


def test_a_connector_is_an_extractor_unless_said(project):
    project("create", "connector", "shop")
    project("create", "connector", "store", "--kind", "loader")
    assert (project.folder / "components/extractors/shop/shop.py").is_file()
    assert (project.folder / "components/loaders/store/store.py").is_file()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["sales.csv"], 2, "which table? write: dteg create sales.csv TABLE"),
        (["connector"], 2, "dteg create connector NAME"),
        (["extractor", "Bad-Name"], 2, "cannot be the name"),
        (["loader", "shop", "--kind", "extractor"], 2, "--kind extractor does not fit"),
        (["connector", "shop", "--kind", "sensor"], 2, "--kind sensor does not fit"),
    ],
)
def test_create_says_what_is_wrong(project, arguments, code, message):
    assert message in project("create", *arguments, code=code).stderr
    assert not (project.folder / "components").exists()


def test_a_failing_test_is_told_with_its_line(project):
    project("create", "extractor", "shop")
    path = project.folder / "components/extractors/shop/test_shop.py"
    lines = len(path.read_text().splitlines())
    path.write_text(path.read_text() + "\n\ndef test_wrong():\n    assert 1 == 2, 'one is not two'\n")
    shown = project.process("test", "shop", code=1).stdout
    assert (
        f"FAILED components/extractors/shop/test_shop.py:{lines + 4}: test_wrong: AssertionError: one is not two"
        in shown
    )
    assert "1 failed" in shown
    assert "not ready" in shown


def test_a_broken_promise_is_told(project):
    project("create", "extractor", "shop")
    path = project.folder / "components/extractors/shop/shop.py"
    path.write_text(path.read_text().replace("raise InputError(f", "raise ValueError(f"))
    shown = project.process("test", "shop", code=1).stdout
    assert "components/extractors/shop/test_shop.py: TestShop::test_broken_config_raises_our_errors" in shown
    assert "must raise a DtegError" in shown


def test_a_file_that_cannot_be_read_is_told(project):
    project("create", "extractor", "shop")
    (project.folder / "components/extractors/shop/test_shop.py").write_text("import nothing_of_that_name\n")
    shown = project.process("test", "shop", code=1).stdout
    assert "FAILED components/extractors/shop/test_shop.py" in shown
    assert "nothing_of_that_name" in shown


def test_too_little_coverage_names_the_lines(project):
    project("create", "processor", "shop")
    folder = project.folder / "components/processors/shop"
    (folder / "test_shop.py").write_text(
        "from .shop import ShopProcessor\n\n\ndef test_it():\n    assert ShopProcessor\n"
    )
    shown = project.process("test", "shop", code=1).stdout
    assert "1 passed" in shown
    assert "components/processors/shop/shop.py: no test reaches line " in shown


def test_no_tests_are_no_success(project):
    project("create", "processor", "shop")
    folder = project.folder / "components/processors/shop"
    (folder / "test_shop.py").write_text("def helper():\n    pass\n")
    assert "0 passed" in project.process("test", "shop", code=1).stdout
    (folder / "test_shop.py").unlink()
    assert "there are no tests; write test_shop.py" in project.process("test", "shop", code=2).stderr


def test_configuration_above_the_folder_does_not_count(project):
    project("create", "processor", "shop")
    (project.folder / "conftest.py").write_text("raise RuntimeError('read')\n")
    (project.folder / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    assert "passed" in project.process("test", "shop").stdout


def test_json(project):
    project("create", "processor", "shop")
    shown = json.loads(project.process("test", "shop", "--json").stdout)
    assert (shown["component"], shown["version"], shown["ok"], shown["failed"]) == (
        "shop-processor",
        "0.1.0",
        True,
        0,
    )
    assert shown["passed"] > 20
    assert shown["coverage"] == 100


def test_ways_to_name_a_component(project):
    project("create", "processor", "shop")
    folder = project.folder / "components/processors/shop"
    project.process("test", "components/processors/shop")
    shutil.copytree(folder, project.folder / "elsewhere" / "deep" / "shop")
    project.process("test", project.folder / "elsewhere" / "deep" / "shop")
    project.folder = folder
    project.process("test", ".")


def test_a_name_that_is_not_clear(project):
    project("create", "processor", "shop")
    project("create", "loader", "shop")
    assert "say which: shop-loader, shop-processor" in project("test", "shop", code=2).stderr
    assert 'did you mean "shop-loader"' in project("test", "shop-loade", code=2).stderr
    assert "no dteg.yaml in" in project("test", ".", code=2).stderr


def test_a_manifest_that_is_not_valid_is_told_with_its_line(project):
    project("create", "processor", "shop")
    path = project.folder / "components/processors/shop/dteg.yaml"
    path.write_text(path.read_text().replace("version: 0.1.0", "version: 1"))
    assert "dteg.yaml:2: version" in project("test", "components/processors/shop", code=2).stderr


def test_the_schema_of_manifests(project):
    schema = json.loads(project("component", "schema").stdout)
    assert {"name", "version", "kind", "capabilities"} <= schema["properties"].keys()
    assert schema["additionalProperties"] is False
