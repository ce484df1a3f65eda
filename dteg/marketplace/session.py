"""What a command works with: the project, the registry behind its URL, and the environment."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from dteg.core.clock import utc_now
from dteg.core.errors import ConfigError
from dteg.core.project import Project
from dteg.marketplace import receipts
from dteg.marketplace.client import RegistryClient
from dteg.marketplace.credentials import find_login, registry_url
from dteg.marketplace.environment import Environment, Installer
from dteg.marketplace.plan import Planner, Watch
from dteg.marketplace.source import Source, open_source


@dataclass(frozen=True)
class Session:
    """All of it.

    Attributes:
        project: Whose lock file it is.
        source: Where components come from.
        client: The registry; None for a mirror.
        environment: What is changed.
        installer: uv or pip.
    """

    project: Project
    source: Source
    client: RegistryClient | None
    environment: Environment
    installer: Installer

    def planner(self, watch: Watch) -> Planner:
        """Return a planner."""
        return Planner(
            self.project, self.source, self.environment, self.installer, watch, utc_now, share=receipts.share
        )


@contextlib.contextmanager
def open_client(registry: str = "") -> Iterator[RegistryClient]:
    """Yield the registry, with this user's login.

    Args:
        registry: What the command line said; "" for the usual one.

    Raises:
        ConfigError: It is a mirror in a folder, which answers no questions.
    """
    url = registry_url(registry)
    if url.startswith("file:"):
        raise ConfigError(f"{url} is a mirror; this command needs a registry: --registry https://host")
    login = find_login(url)
    with RegistryClient(url, login.token if login else "") as client:
        yield client


@contextlib.contextmanager
def open_session(registry: str = "") -> Iterator[Session]:
    """Yield project, registry or mirror, and environment.

    Args:
        registry: What the command line said; "" for the usual one.

    Raises:
        EnvironmentProblemError: There is no project here.
    """
    project = Project.find()
    url = registry_url(registry, project)
    environment = Environment()
    installer = Installer(environment)
    if url.startswith("file:"):
        yield Session(project, open_source(url, None), None, environment, installer)
        return
    login = find_login(url)
    with RegistryClient(url, login.token if login else "") as client:
        source = open_source(url, client)
        yield Session(project, source, client if source.origin == url else None, environment, installer)
