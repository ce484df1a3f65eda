"""Dagster's web server while it runs: its GraphQL, as an internal interface on this machine."""

import os
from collections.abc import Iterator
from typing import Any

from dteg.core.errors import ConfigError, NotFoundError, PermanentError, Problem, UnavailableError
from dteg.core.processes import registered
from dteg.core.project import Project
from dteg.core.secrets import redact

URL_VARIABLE = "DTEG_DAGSTER_URL"
SERVER = "dagster"
# What the location of pipelines is called in workspace.yaml, and without one.
LOCATIONS = ("dteg", "orchestration.definitions")
TIMEOUT_S = 20.0
# Four seconds on an idle machine; others may be busy.
RELOAD_TIMEOUT_S = 180.0

_LOCATION = """
fragment Entry on WorkspaceLocationEntry {
  name
  loadStatus
  locationOrLoadError {
    __typename
    ... on RepositoryLocation { repositories { name } }
    ... on PythonError { message causes { message } }
  }
}
"""
_WORKSPACE = (
    _LOCATION
    + """
query { workspaceOrError { __typename
  ... on Workspace { locationEntries { ...Entry } }
  ... on PythonError { message }
} }
"""
)
_RELOAD = (
    _LOCATION
    + """
mutation($location: String!) { reloadRepositoryLocation(repositoryLocationName: $location) { __typename
  ... on WorkspaceLocationEntry { ...Entry }
  ... on Error { message }
} }
"""
)


def running_page(project: Project) -> "DagsterPage | None":
    """Return the web server of a project's Dagster; None if it does not run.

    It is the one in `DTEG_DAGSTER_URL`, else the one that `make dev` has started.
    """
    if url := os.environ.get(URL_VARIABLE):
        return DagsterPage(url)
    for server in registered(project):
        if server.name == SERVER:
            return DagsterPage(f"http://127.0.0.1:{server.port}")
    return None


class DagsterPage:
    """One running web server.

    Args:
        url: Its address, such as `http://127.0.0.1:3000`.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.shown = redact(self.url)
        self._location: tuple[str, str] | None = None

    def query(self, text: str, *, timeout_s: float = TIMEOUT_S, **variables: Any) -> dict[str, Any]:
        """Send a query or mutation and return its data.

        Raises:
            UnavailableError: Nobody answers.
            PermanentError: Dagster does not understand the question.
        """
        import httpx  # code locations read what is written here of cron jobs, but ask nobody

        try:
            # Not through a proxy: it is a server of this machine, or of the same private network.
            with httpx.Client(trust_env=False, timeout=timeout_s) as client:
                reply = client.post(f"{self.url}/graphql", json={"query": text, "variables": variables})
            answer = reply.json()
        except (httpx.HTTPError, ValueError) as error:
            raise UnavailableError(
                f"Dagster at {self.shown} does not answer ({redact(str(error)) or type(error).__name__}); if it is "
                "starting, try again in a moment"
            ) from None
        if answer.get("errors"):
            messages = "; ".join(str(each.get("message")) for each in answer["errors"])
            raise PermanentError(f"Dagster at {self.shown}: {redact(messages)}")
        data: dict[str, Any] = answer["data"]
        return data

    @property
    def location(self) -> str:
        """Name of the code location of pipelines and cron jobs."""
        return self._found()[0]

    @property
    def repository(self) -> dict[str, str]:
        """What GraphQL calls a selector of the location's repository."""
        location, repository = self._found()
        return {"repositoryLocationName": location, "repositoryName": repository}

    def reload(self) -> None:
        """Load the code location again.

        Raises:
            ConfigError: It does not load; says why. Dagster then serves nothing of it.
            UnavailableError: Dagster does not answer.
        """
        location = self._entry()["name"]
        data = self.query(_RELOAD, timeout_s=RELOAD_TIMEOUT_S, location=location)["reloadRepositoryLocation"]
        if data["__typename"] != "WorkspaceLocationEntry":
            raise PermanentError(
                f"Dagster does not reload {location}: {data.get('message', data['__typename'])}"
            )
        self._location = None
        # Also a location that failed says that it is LOADED: only what is inside tells.
        _checked(data)

    def _found(self) -> tuple[str, str]:
        if self._location is None:
            entry = self._entry()
            repositories = _checked(entry)["repositories"]
            self._location = entry["name"], repositories[0]["name"]
        return self._location

    def _entry(self) -> dict[str, Any]:
        workspace = self.query(_WORKSPACE)["workspaceOrError"]
        if workspace["__typename"] != "Workspace":
            raise PermanentError(f"Dagster at {self.shown}: {redact(workspace.get('message', ''))}")
        entries = {entry["name"]: entry for entry in workspace["locationEntries"]}
        for name in LOCATIONS:
            if name in entries:
                found: dict[str, Any] = entries[name]
                return found
        raise NotFoundError(
            f"Dagster at {self.shown} has no code location {LOCATIONS[0]!r}, only: {', '.join(entries) or 'none'}"
        )


def _checked(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what a location holds.

    Raises:
        ConfigError: It did not load.
        UnavailableError: It is still loading.
    """
    inside: dict[str, Any] | None = entry["locationOrLoadError"]
    if inside is None:
        raise UnavailableError(
            f"Dagster still loads the code location {entry['name']}; try again in a moment"
        )
    if inside["__typename"] != "RepositoryLocation":
        reason = list(_reasons(inside))[-1]
        raise ConfigError([Problem(f"the code location {entry['name']} does not load: {redact(reason)}")])
    return inside


def _reasons(error: dict[str, Any]) -> Iterator[str]:
    """Yield the messages of an error and of what caused it, the innermost last."""
    for each in (error, *(error.get("causes") or ())):
        if text := (each.get("message") or "").strip():
            yield text
