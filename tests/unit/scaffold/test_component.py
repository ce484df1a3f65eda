"""`dteg create`: names, texts that go into files, and that each new component passes its own tests."""

import ast

import pytest
import yaml

from dteg.connectors.discovery import discover
from dteg.core.errors import ConfigError, EnvironmentProblemError
from dteg.core.project import Project
from dteg.manifest import MANIFEST_NAME, read_manifest
from dteg.packages import build_wheel, inspect_wheel
from dteg.scaffold.component import KINDS, NewComponent, create_component


def create(folder, kind="extractor", name="web_shop", author="me", **more):
    return create_component(Project(folder), NewComponent(kind, name, author, **more))


@pytest.mark.parametrize("kind", KINDS)
def test_four_files_that_are_found_and_can_be_packed(tmp_path, kind):
    files = create(tmp_path, kind)
    folder = tmp_path / "components" / f"{kind}s" / "web_shop"
    assert {path.name for path in files} == {"README.md", "dteg.yaml", "web_shop.py", "test_web_shop.py"}
    assert {path.parent for path in files} == {folder}
    component = discover(Project(tmp_path))[kind, "web_shop"]
    assert component.folder == folder
    assert component.load().__name__ == f"WebShop{kind.capitalize()}"
    assert (
        inspect_wheel(build_wheel(folder, namespace="shops", out=tmp_path)).manifest.slug
        == f"web-shop-{kind}"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_no_word_of_the_template_is_left(tmp_path, kind):
    text = "".join(path.read_text() for path in create(tmp_path, kind))
    for word in ("acme", "Acme", "AUTHOR", "DESCRIPTION", "NAMESPACE"):
        assert word not in text


def test_namespace_is_written_only_if_there_is_one(tmp_path):
    assert read_manifest(_manifest(create(tmp_path / "a"))).namespace == ""
    assert read_manifest(_manifest(create(tmp_path / "b", namespace="shops"))).namespace == "shops"
    assert "namespace" not in _manifest(create(tmp_path / "c")).read_text()


@pytest.mark.parametrize(
    "text",
    [
        'Reads "quoted" things: all',
        "Reads # no comment",
        "- Reads {braces}",
        'Ends """a docstring""" early',
        "Back\\slash \\n",
        "Ünïcode signs ☃",
        "Reads acme and Acme for AUTHOR",
        "!!python/object",
        "&anchor *alias",
    ],
)
def test_texts_stay_as_they_were_given(tmp_path, text):
    files = {path.name: path.read_text() for path in create(tmp_path, author=f"{text} Ltd", description=text)}
    manifest = yaml.safe_load(files["dteg.yaml"])
    assert (manifest["description"], manifest["author"]) == (f"{text}.", f"{text} Ltd")
    docstring = ast.get_docstring(ast.parse(files["web_shop.py"]))
    assert docstring.startswith(f"{text}.".replace('"""', "'''"))
    assert f"{text}." in files["README.md"]
    read_manifest(tmp_path / "components/extractors/web_shop" / MANIFEST_NAME)


@pytest.mark.parametrize(
    "name",
    ["", "a", "Shop", "1shop", "_shop", "shop_", "web__shop", "web-shop", "web shop", "../shop", "a/b", "shöp", "x" * 64,
     "shop\n", "test", "conftest", "dteg", "for_dagster", "dbt"],
)  # fmt: skip
def test_names_that_are_refused(tmp_path, name):
    with pytest.raises(ConfigError, match=r"cannot be the name|dteg uses itself"):
        create(tmp_path, name=name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"description": "short"}, "5 characters; write 10 to 200"),
        ({"description": "x" * 201}, "201 characters"),
        ({"description": "two lines\nof some text"}, "one line of text"),
        ({"author": " "}, "one line of text"),
        ({"author": "me\x1b[31m"}, "one line of text"),
        ({"namespace": "a-b"}, "is no namespace"),
    ],
)
def test_values_that_do_not_fit_the_manifest(tmp_path, more, message):
    with pytest.raises(ConfigError, match=message):
        create(tmp_path, **more)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_stays(tmp_path):
    path = create(tmp_path)[0]
    path.write_text("mine")
    with pytest.raises(ConfigError, match="is there already"):
        create(tmp_path)
    assert path.read_text() == "mine"


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "components").write_text("a file")
    with pytest.raises(EnvironmentProblemError, match="cannot be written"):
        create(tmp_path)


def _manifest(files):
    return next(path for path in files if path.name == MANIFEST_NAME)
