"""Which datasets somebody sees: one with roles is for these only, and so is what is made of it."""

from dteg.core.control import session
from dteg.core.project import Project
from dteg.datasets import store
from dteg.datasets.models import VIEW_SCHEMA
from dteg.tokens.visible import Visible


def roles_of_datasets(project: Project) -> dict[str, list[str]]:
    """Return the roles of each dataset; none for those that everybody sees."""
    with session(project, "datasets") as connection:
        return {slug: roles or [] for slug, roles in store.run(connection, "roles").fetchall()}


def hidden(project: Project, sees: Visible) -> frozenset[str]:
    """Return the datasets that are not for who looks."""
    if sees.everything:
        return frozenset()
    return frozenset(slug for slug, roles in roles_of_datasets(project).items() if not sees.allows(roles))


def closed_views(project: Project) -> frozenset[str]:
    """Return the views, as `ds.name`, of the datasets that are for some roles only."""
    return frozenset(f"{VIEW_SCHEMA}.{slug}" for slug, roles in roles_of_datasets(project).items() if roles)
