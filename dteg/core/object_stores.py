"""Object stores, by obstore."""

import contextlib
from collections.abc import Iterator

from dteg.core.errors import UnavailableError


@contextlib.contextmanager
def store_errors() -> Iterator[None]:
    """Turn what an object store refuses into an error of ours."""
    from obstore import exceptions

    try:
        yield
    except exceptions.BaseError as error:
        # The store's own message holds addresses and request ids, which are nobody's business.
        raise UnavailableError(
            f"the object store does not do what it should ({type(error).__name__}): see its address, credentials and rights"
        ) from error
