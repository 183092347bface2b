"""Who may ask: programs, the server's own pages, and those that it is told of."""

import http.client
import json
import urllib.parse

import pytest

from rnnapps.serving import Server

BODY = b'{"instances": ["a"]}'


def ask(server, headers, method="POST"):
    parts = urllib.parse.urlsplit(server.rest_address)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=60)
    connection.putrequest(method, "/v1/models/toy:predict", skip_host=True)
    for name, value in {"Content-Length": str(len(BODY)), **headers}.items():
        connection.putheader(name, value.format(port=parts.port))
    connection.endheaders(BODY)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response, content


OWN = "127.0.0.1:{port}"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": OWN},
        {"Host": OWN, "Content-Type": "text/plain"},
        {"Host": "localhost"},
        {"Host": "LOCALHOST:80"},
        {"Host": "[::1]:8501"},
        {"Host": OWN, "Origin": "http://127.0.0.1:{port}"},
        {"Host": "localhost:3000", "Origin": "http://localhost:3000"},
    ],
)
def test_the_servers_own_pages_and_programs_may_ask(server, headers):
    response, content = ask(server, headers)
    assert (response.status, "predictions" in json.loads(content)) == (200, True)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"Host": OWN, "Origin": "https://example.org", "Content-Type": "text/plain"}, "Origin"),
        ({"Host": OWN, "Origin": "null"}, "Origin"),
        ({"Host": OWN, "Origin": "http://localhost:{port}"}, "Origin"),
        ({"Host": "127.0.0.1", "Origin": "http://127.0.0.1:1"}, "Origin"),
        ({"Host": "example.org"}, "Host"),
        ({"Host": "example.org:{port}", "Origin": "http://example.org:{port}"}, "Host"),
        ({"Host": "localhost.example.org"}, "Host"),
        ({"Host": "192.0.2.1"}, "Host"),
        ({"Host": "[::1"}, "Host"),
    ],
)
def test_pages_and_names_of_others_may_not(server, headers, said):
    response, content = ask(server, headers)
    assert response.status == 403
    assert json.loads(content)["error"].startswith(f"Expected the header {said} to be this server")


def test_hosts_and_origins_can_be_allowed(folder):
    page = "https://example.org"
    given = "https://Example.org/"  # as people write it
    with Server(folder, 0, 0, hosts=["models.example.org"], origins=[given]) as server:
        host = {"Host": "models.example.org"}
        response, _ = ask(server, {**host, "Origin": page})
        assert (response.status, response.headers["Access-Control-Allow-Origin"]) == (200, page)
        preflight = {
            **host,
            "Origin": page,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type",
        }
        assert ask(server, preflight, "OPTIONS")[0].status == 200
        assert ask(server, {**preflight, "Origin": "http://a.test"}, "OPTIONS")[0].status == 403
        assert ask(server, {"Host": "other.example.org"})[0].status == 403
    with Server(folder, 0, 0, hosts=["*"], origins=["*"]) as server:
        assert ask(server, {"Host": "probe", "Origin": "http://a.test"})[0].status == 200
