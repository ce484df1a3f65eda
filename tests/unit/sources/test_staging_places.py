"""Which files and addresses a source may read."""

from dataclasses import replace

import pytest
from pydantic import ValidationError

from dteg.core.errors import ConfigError, DeniedError, InputError
from dteg.core.project import Project
from dteg.sources.kinds import Link
from dteg.sources.models import Kind, Mode
from dteg.sources.staging.options import FileOptions, JsonApiOptions, dotted, headers_of, types_of
from dteg.sources.staging.places import allowed_path, check_place, local_file, name_of
from dteg.sources.staging.settings import settings_of


@pytest.fixture
def project(tmp_path):
    root = tmp_path / "project"
    for folder in ("data", ".dteg/sources/shop", "pipelines"):
        (root / folder).mkdir(parents=True)
    (root / "data" / "a.csv").write_text("id\n1\n")
    (root / ".dteg" / "token").write_text("secret")
    (tmp_path / "outside.csv").write_text("id\n1\n")
    return Project(root)


def link_of(project, **options):
    checked = FileOptions.model_validate({"path": "data/a.csv", **options})
    return Link(project, "shop", Kind.FILE, Mode.STAGED, "", checked)


def test_files_of_the_project_are_read(project):
    assert allowed_path(project, "shop", "data/a.csv") == project.root / "data" / "a.csv"
    with local_file(link_of(project)) as path:
        assert path.read_text() == "id\n1\n"


@pytest.mark.parametrize("path", [".dteg/token", "data/../.dteg/token", "./.dteg/token"])
def test_hidden_files_are_refused(project, path):
    with pytest.raises(DeniedError, match="hidden"):
        allowed_path(project, "shop", path)


@pytest.mark.parametrize(
    "path", ["../outside.csv", "/etc/passwd", "../missing.csv", "data/../../outside.csv"]
)
def test_what_lies_outside_is_refused_whether_it_is_there_or_not(project, path):
    with pytest.raises(DeniedError, match=r"\[sources\] folders"):
        allowed_path(project, "shop", path)


def test_links_that_lead_out_are_refused(project, tmp_path):
    (project.root / "data" / "out.csv").symlink_to(tmp_path / "outside.csv")
    (project.root / "data" / "token.csv").symlink_to(project.root / ".dteg" / "token")
    for name in ("out.csv", "token.csv"):
        with pytest.raises(DeniedError):
            allowed_path(project, "shop", f"data/{name}")


def test_a_project_may_allow_other_folders(project, tmp_path):
    (project.root / "dteg.toml").write_text(
        f'[sources]\nfolders = ["{tmp_path}"]\nprivate_hosts = ["10.0.0.0/8"]\n'
    )
    assert allowed_path(project, "shop", "../outside.csv") == tmp_path / "outside.csv"
    assert settings_of(project).private_hosts == ["10.0.0.0/8"]
    (project.root / "dteg.toml").write_text("[sources]\nfolder = []\n")
    with pytest.raises(ConfigError, match=r"sources\.folder"):
        settings_of(project)


def test_what_is_missing_a_folder_or_too_large_is_told(project):
    with pytest.raises(InputError, match="no such file"):
        allowed_path(project, "shop", "data/b.csv")
    with pytest.raises(InputError, match="is no file"):
        allowed_path(project, "shop", "data")
    link = link_of(project)
    with (
        pytest.raises(InputError, match="larger than"),
        local_file(replace(link, options=link.options.model_copy(update={"max_mb": 0}))),
    ):
        pass


def test_kept_upload_is_found_by_its_name_only(project):
    (project.root / ".dteg" / "sources" / "shop" / "sent.csv").write_text("id\n")
    assert allowed_path(project, "shop", "upload:sent.csv").name == "sent.csv"
    for name in ("upload:../shop/none.csv", "upload:other.csv"):
        with pytest.raises(InputError, match="send it again"):
            allowed_path(project, "shop", name)
    with pytest.raises(InputError):
        allowed_path(project, "shop", "upload:../../token")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"path": ""}, "name a file"),
        ({"path": "ftp://x/y.csv"}, "begins with https"),
        ({"headers": ["X: secret://env/A"]}, "only an address"),
        ({"path": "https://x/a.csv", "headers": ["Authorization: Bearer abc"]}, "not the secret itself"),
        ({"path": "https://x/a.csv", "headers": ["Host: secret://env/A"]}, "cannot be the name of a header"),
        ({"types": ["price"]}, "COLUMN=TYPE"),
        ({"types": ["price=money2"]}, "unknown type"),
        ({"table": "a.b"}, "should match pattern"),
        ({"colour": "blue"}, "not permitted"),
    ],
)
def test_settings_that_cannot_be_are_refused(options, said):
    with pytest.raises(ValidationError, match=said):
        FileOptions.model_validate({"path": "data/a.csv", **options})


@pytest.mark.parametrize(
    "path", ["https://", "https://user:pw@host/a.csv", "https://host:99999/a.csv", "data/*.csv"]
)
def test_places_that_cannot_be_are_refused(project, path):
    with pytest.raises(ConfigError, match="path"):
        check_place(link_of(project, path=path))


def test_names_and_types_are_read(monkeypatch):
    monkeypatch.setenv("TOKEN", "t0p")
    assert name_of(FileOptions(path="https://host/data/My%20file.csv?token=x")) == "My file.csv"
    assert types_of(["price = numeric(12,2)", "day=date"]) == {"price": "numeric(12,2)", "day": "date"}
    assert headers_of(["Authorization: secret://env/TOKEN"]) == {"Authorization": "t0p"}
    monkeypatch.setenv("TOKEN", "a\nHost: evil")
    with pytest.raises(ConfigError, match="Authorization"):
        headers_of(["Authorization: secret://env/TOKEN"])
    with pytest.raises(ValidationError, match="next_path"):
        JsonApiOptions(paging="cursor")


@pytest.mark.parametrize(
    ("pointer", "path"),
    [("/data/items", "data.items"), ("data.items", "data.items"), ("", ""), ("/a~1b", "a/b")],
)
def test_json_pointers_become_dotted_paths(pointer, path):
    assert dotted(pointer) == path
