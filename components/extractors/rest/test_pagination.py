"""Each way from page to page, and loops."""

import pytest

from dteg.core.errors import PermanentError
from dteg.testing.http_server import Reply

from .conftest import ROWS, by_link, by_page, read, sliced


def by_offset(seen):
    size = min(int(seen.query["limit"]), 2)  # gives fewer than it is asked for
    return Reply({"data": sliced(int(seen.query["offset"]), size)})


def by_cursor(seen):
    start = int(seen.query.get("cursor", 0))
    following = start + 3 if start + 3 < len(ROWS) else None
    return Reply({"data": sliced(start, 3), "meta": {"next": following}})


def by_last_record(seen):
    start = int(seen.query.get("after", 0))
    return Reply({"data": sliced(start, 3), "more": start + 3 < len(ROWS)})


def by_token_header(seen):
    start = int(seen.query.get("token", 0))
    headers = {"X-Next": str(start + 3)} if start + 3 < len(ROWS) else {}
    return Reply({"data": sliced(start, 3)}, headers=headers)


def by_next_url(seen):
    start = int(seen.query.get("from", 0))
    following = f"http://{seen.headers['host']}/items?from={start + 3}" if start + 3 < len(ROWS) else None
    return Reply({"data": sliced(start, 3), "next": following})


@pytest.mark.parametrize(
    ("route", "pagination", "requests"),
    [
        (lambda _seen: Reply({"data": ROWS}), {"type": "none"}, 1),
        (by_page, {"type": "page"}, 4),
        (by_page, {"type": "page", "total_path": "meta.total"}, 3),
        (by_page, {"type": "page", "page_size": 3, "stop_on_short_page": True}, 3),
        (by_offset, {"type": "offset", "page_size": 5}, 5),
        (by_cursor, {"type": "cursor", "cursor_path": "meta.next"}, 3),
        (
            by_last_record,
            {"type": "cursor", "cursor_param": "after", "last_record_field": "id", "has_more_path": "more"},
            3,
        ),
        (by_token_header, {"type": "next_token", "token_param": "token", "token_header": "X-Next"}, 3),
        (by_cursor, {"type": "next_token", "token_param": "cursor", "token_path": "meta.next"}, 3),
        (by_link, {"type": "link_header"}, 3),
        (by_next_url, {"type": "next_url"}, 3),
    ],
)
def test_each_pagination_reads_every_record_once(server, make, route, pagination, requests):
    server.route("/items", route)
    columns = {"id": "bigint", "name": "text"}
    extractor = make(stream={"records_path": "data", "columns": columns}, pagination=pagination)
    assert read(extractor) == ROWS
    assert len(server.requests) == requests


def test_page_size_is_asked_for(server, make):
    server.route("/items", [Reply([])])
    pagination = {"type": "page", "size_param": "per_page", "page_size": 50}
    assert read(make(stream={"columns": {"id": "bigint"}}, pagination=pagination)) == []
    assert server.requests[0].query == {"page": "1", "per_page": "50"}


def test_server_that_ignores_the_page_is_noticed(server, make):
    server.route("/items", [Reply(ROWS)])
    with pytest.raises(PermanentError, match="page 2 has the same records"):
        read(make(stream={"columns": {"id": "bigint"}}, pagination={"type": "page"}))


def test_pages_that_start_again_are_noticed(server, make):
    server.route("/items", lambda seen: Reply(sliced(int(seen.query["page"]) % 3, 1)))
    with pytest.raises(PermanentError, match="page 4 has the same records"):
        read(make(stream={"columns": {"id": "bigint"}}, pagination={"type": "page"}))


@pytest.mark.parametrize(
    ("pagination", "reply"),
    [
        ({"type": "cursor", "cursor_path": "next"}, Reply({"data": ROWS, "next": "same"})),
        ({"type": "next_url"}, Reply({"data": ROWS, "next": "/items?page=1"})),
        ({"type": "link_header"}, Reply({"data": ROWS}, headers={"Link": '<?x=1>; rel="next"'})),
    ],
)
def test_same_token_twice_ends_the_loop(server, make, pagination, reply):
    server.route("/items", [reply])
    stream = {"records_path": "data", "columns": {"id": "bigint"}}
    with pytest.raises(PermanentError, match="leads back"):
        read(make(stream=stream, pagination=pagination))
    assert len(server.requests) <= 3


def test_max_pages_ends_the_loop(server, make):
    server.route("/items", lambda seen: Reply([{"id": int(seen.query["page"])}]))
    with pytest.raises(PermanentError, match="more than 5 pages"):
        read(make(stream={"columns": {"id": "bigint"}}, pagination={"type": "page", "max_pages": 5}))


@pytest.mark.parametrize("link", ["http://127.0.0.2:9/items", "//evil.example/x", "https://127.0.0.1/items"])
def test_next_link_to_another_origin_is_not_followed(server, make, canary, link):
    server.route("/items", [Reply({"data": ROWS, "next": link})])
    extractor = make(
        stream={"records_path": "data", "columns": {"id": "bigint"}},
        pagination={"type": "next_url"},
        auth={"type": "bearer", "token": canary},
    )
    with pytest.raises(PermanentError, match="another origin"):
        read(extractor)


def test_redirect_stays_on_the_origin(server, make):
    server.route("/items", [Reply(status=302, headers={"Location": "/moved"})])
    server.route("/moved", [Reply(ROWS)])
    assert len(read(make())) == len(ROWS)
    server.route("/items", [Reply(status=302, headers={"Location": "http://127.0.0.2:9/"})])
    with pytest.raises(PermanentError, match=r"redirect .* another origin"):
        read(make())


def test_redirects_in_a_circle_end(server, make):
    server.route("/items", [Reply(status=307, headers={"Location": "/items"})])
    with pytest.raises(PermanentError, match="redirects"):
        read(make())
