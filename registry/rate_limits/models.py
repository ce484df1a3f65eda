"""How much of a limit is used."""

from registry.documents import Answer


class Usage(Answer):
    """What who asks has used of the limit.

    Attributes:
        limit: Requests in a window.
        used: Requests in this window.
        remaining: Requests left in it.
        reset_s: Seconds until the next window.
        window_s: Length of a window in seconds.
    """

    limit: int
    used: int
    remaining: int
    reset_s: int
    window_s: int
