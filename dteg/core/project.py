"""Where a project lies, and where dteg keeps what it makes there.

A project is a folder with a `pipelines/` folder or a `dteg.toml` in it. Everything that dteg
creates by itself lies in `.dteg/`, which can be deleted when the servers are stopped.
"""

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from dteg.core.errors import ConfigError, EnvironmentProblemError

POSTGRES_URL_VARIABLE = "DTEG_POSTGRES_URL"
HOME_VARIABLE = "DTEG_HOME"
# libpq takes `host=... dbname=...` as well.
_CONNINFO = re.compile(r"\s*[a-z_]+\s*=")


@dataclass(frozen=True)
class Project:
    """One project folder.

    Attributes:
        root: The absolute folder.
    """

    root: Path

    @classmethod
    def find(cls, start: Path | None = None) -> Self:
        """Return the project at `DTEG_HOME`, else the nearest one at or above `start` (the current folder).

        Raises:
            EnvironmentProblemError: There is none.
        """
        if home := os.environ.get(HOME_VARIABLE):
            root = Path(home).expanduser().resolve()
            if not root.is_dir():
                raise EnvironmentProblemError(
                    f"{HOME_VARIABLE}={home} is not a folder; make it with: dteg init {home}"
                )
            return cls(root)
        here = (start or Path.cwd()).resolve()
        for folder in (here, *here.parents):
            if (folder / "pipelines").is_dir() or (folder / "dteg.toml").is_file():
                return cls(folder)
        raise EnvironmentProblemError(f"no dteg project at or above {here}; make one with: dteg init")

    @cached_property
    def state_dir(self) -> Path:
        """`.dteg/`, made when first asked for, readable by its owner only."""
        folder = self.root / ".dteg"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise EnvironmentProblemError(
                f"{folder} cannot be made: {error.strerror}; give yourself the right to write there"
            ) from None
        return folder

    def display(self, path: Path) -> str:
        """Return a path as messages name it: relative to the project where it lies in it."""
        for each in (path, path.resolve()):
            if each.is_relative_to(self.root):
                return str(each.relative_to(self.root))
        return str(path)

    @property
    def pipelines_dir(self) -> Path:
        """The folder of pipeline files."""
        return self.root / "pipelines"

    @property
    def components_dir(self) -> Path:
        """The folder of the project's own connectors."""
        return self.root / "components"

    @property
    def dbt_dir(self) -> Path:
        """The dbt project."""
        return self.root / "dbt_project"

    @property
    def dagster_home(self) -> Path:
        """Where Dagster keeps its runs and events."""
        if home := os.environ.get("DAGSTER_HOME"):
            return Path(home).expanduser()
        return self.state_dir / "dagster_home"

    @property
    def uses_embedded_postgres(self) -> bool:
        """Whether the warehouse is the server that dteg starts by itself."""
        return not os.environ.get(POSTGRES_URL_VARIABLE)

    def warehouse_url(self) -> str:
        """Return the URL of the warehouse, starting the embedded server when that is the warehouse.

        Raises:
            EnvironmentProblemError: The embedded server cannot run here.
            ConfigError: The variable holds no address.
        """
        if url := os.environ.get(POSTGRES_URL_VARIABLE):
            if not url.startswith(("postgresql://", "postgres://")) and not _CONNINFO.match(url):
                raise ConfigError(
                    f"{POSTGRES_URL_VARIABLE} is not the address of a PostgreSQL database; write it as "
                    "postgresql://user@host:5432/database"
                )
            return url
        from dteg.core.embedded import EmbeddedPostgres

        return EmbeddedPostgres.of(self).start()
