"""The form of a new dictionary: column N has the fields `nameN`, `typeN` and `aboutN`; `key` is the number of one."""

from collections.abc import Mapping

from dteg.core.errors import ConfigError
from dteg.core.project import Project
from dteg.dictionaries.files import columns_of, plain_name
from dteg.dictionaries.models import KEY_TYPES, MAX_COLUMNS, RESERVED, NewDictionary
from dteg.tables.requests import checked
from dteg.tables.uploads import Uploads

HAND_COLUMNS = 6


def new_of(form: Mapping[str, str]) -> NewDictionary:
    """Return what a form describes.

    Raises:
        ConfigError: It does not fit.
    """
    columns = [
        {
            "name": form[f"name{number}"], "type": form.get(f"type{number}") or "text",
            "description": form.get(f"about{number}", ""),
        }
        for number in range(MAX_COLUMNS)
        if form.get(f"name{number}")
    ]  # fmt: skip
    if not columns:
        raise ConfigError("name at least one column, the one that values are looked up by")
    key = form.get(f"name{form.get('key', '0')}", "")
    if not key:
        raise ConfigError("choose the column that values are looked up by: the key")
    return checked(
        NewDictionary, slug=form.get("slug", ""), title=form.get("title", ""), key=key, columns=columns
    )


def prefilled(project: Project, upload: str) -> dict[str, str]:
    """Return the form with the columns of a file that was sent.

    Raises:
        NotFoundError: There is no such upload.
        InputError: The file cannot be read.
    """
    source = Uploads.of(project).source(upload)
    columns = list(columns_of(project, source.folder / source.path).values())
    if len(columns) > MAX_COLUMNS:
        raise ConfigError(f"{source.path} has {len(columns)} columns; a dictionary has at most {MAX_COLUMNS}")
    stem = plain_name(source.path.split(".")[0])[:40]
    slug = stem if stem[:1].isalpha() and stem not in RESERVED else ""
    given = {"slug": slug, "columns": str(len(columns)), "file": source.path}
    for number, column in enumerate(columns):
        given |= {
            f"name{number}": column.name, f"type{number}": column.type, f"about{number}": column.description
        }  # fmt: skip
    given["key"] = str(next((at for at, each in enumerate(columns) if each.type in KEY_TYPES), 0))
    return given
