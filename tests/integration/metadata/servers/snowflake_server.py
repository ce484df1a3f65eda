"""Start a server that speaks Snowflake's protocol: python snowflake_server.py PORT.

It runs on the Python of .ci/bootstrap snowflake, and ends when its standard input does. What fakesnow 0.12.1 cannot do is
put in its place here, so that the driver and our own statements can be seen, but says nothing about Snowflake:

- A login gives no master token, which the driver asks for.
- EXPLAIN fails: the statement is compiled instead; the bytes that it would read are what a test says (POST /dteg/bytes).
- ALTER SESSION and USE SECONDARY ROLES fail: they do nothing. GET /dteg/seen says which statements there were.
- INFORMATION_SCHEMA.TABLES leaves views out, and SHOW IMPORTED KEYS shows primary keys, and no foreign one.
- Comments of columns are forgotten, an ARRAY is a VARIANT, roles and time limits mean nothing, and there is no query history.
"""

import gzip
import importlib
import json
import os
import re
import sys
import threading

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

server = importlib.import_module("fakesnow.server")
NOTHING = re.compile(r"\s*(ALTER\s+SESSION|USE\s+SECONDARY)\b", re.IGNORECASE)
EXPLAIN = re.compile(r"\s*EXPLAIN\s+USING\s+JSON\s+", re.IGNORECASE)
seen: list[str] = []
plan = {"GlobalStats": {"partitionsTotal": 1, "partitionsAssigned": 1, "bytesAssigned": 0}, "Operations": []}


async def login(request: Request) -> JSONResponse:
    answer = json.loads((await server.login_request(request)).body)
    answer["data"] |= {
        "masterToken": answer["data"]["token"],
        "validityInSeconds": 3600,
        "masterValidityInSeconds": 14400,
        "sessionId": 1,
    }
    return JSONResponse(answer)


async def query(request: Request) -> JSONResponse:
    body = await request.body()
    if request.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    asked = json.loads(body)
    text = asked["sqlText"]
    seen.append(text)
    if NOTHING.match(text):
        return await _instead(request, asked, "SELECT 'Statement executed successfully.' AS status")
    if explained := EXPLAIN.match(text):
        compiled = await _instead(request, asked, f"SELECT * FROM ({text[explained.end() :]}\n) AS x LIMIT 0")
        if not json.loads(compiled.body).get("success"):
            return compiled
        return await _instead(request, asked, f"SELECT '{json.dumps(plan)}' AS \"content\"")
    return await _instead(request, asked, text)


async def _instead(request: Request, asked: dict[str, object], text: str) -> JSONResponse:
    body = json.dumps({**asked, "sqlText": text}).encode()
    headers = [each for each in request.scope["headers"] if each[0] != b"content-encoding"]

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    return await server.query_request(Request({**request.scope, "headers": headers}, receive))


async def statements(request: Request) -> JSONResponse:
    return JSONResponse(seen)


async def set_bytes(request: Request) -> JSONResponse:
    plan["GlobalStats"]["bytesAssigned"] = (await request.json())["bytes"]
    return JSONResponse({})


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    own = {"/session/v1/login-request": login, "/queries/v1/query-request": query}
    routes = server.app.router.routes
    for place, route in enumerate(routes):
        if route.path in own:
            routes[place] = Route(route.path, own[route.path], methods=["POST"])
    routes += [Route("/dteg/seen", statements), Route("/dteg/bytes", set_bytes, methods=["POST"])]
    threading.Thread(target=_end_with_input, daemon=True).start()
    uvicorn.run(server.app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
