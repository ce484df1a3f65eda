"""What a project lets its sources reach: folders of this machine, and hosts of private networks.

[sources]
folders = ["/srv/exports"]
private_hosts = ["intranet.example", "10.1.0.0/16"]
"""

import tomllib

from pydantic import Field, ValidationError

from dteg.core.config import ConfigModel
from dteg.core.errors import ConfigError
from dteg.core.project import Project

FILE = "dteg.toml"


class SourceSettings(ConfigModel):
    """The part `[sources]` of `dteg.toml`."""

    folders: list[str] = Field(
        [],
        description="Folders outside of the project whose files may be read; relative ones begin in the project.",
    )
    private_hosts: list[str] = Field(
        [],
        description="Hosts, addresses and networks that may be reached although they are not of the internet.",
    )


def settings_of(project: Project) -> SourceSettings:
    """Return what a project lets its sources reach; nothing special without a file.

    Raises:
        ConfigError: The file cannot be read.
    """
    path = project.root / FILE
    if not path.is_file():
        return SourceSettings()
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8")).get("sources", {})
        return SourceSettings.model_validate(found)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{FILE} cannot be read: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{FILE}: sources.{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
