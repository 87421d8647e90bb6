"""The server on 127.0.0.1: what it refuses, how clearly, and that nothing stops it."""

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest

from crossent.errors import OptionError, RangeError
from crossent.explaining.page.gate import LARGEST_BODY
from crossent.explaining.page.server import listening

FOUNDING = {"target": [1, 0, 0, 0, 0], "prediction": [0.1, 0.5, 0.1, 0.1, 0.2]}


class Client:
    """One connection that is kept, as a browser keeps it."""

    def __init__(self, address: str) -> None:
        self.host = urlsplit(address).netloc
        self.connection = http.client.HTTPConnection(self.host, timeout=30)

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            self.connection.request(method, path, body, named)
            response = self.connection.getresponse()
            return response.status, response.headers, response.read()
        except (http.client.HTTPException, OSError):
            self.connection.close()  # the server may hang up on what is no HTTP; the next request connects again
            return 0, http.client.HTTPMessage(), b""

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, Any]:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, _, found = self.ask("POST", path, text, **{"Content_Type": "application/json", **headers})
        return status, json.loads(found)


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    opened = Client(address)
    yield opened
    opened.connection.close()


def test_it_answers_as_python_does(client: Client) -> None:
    status, found = client.post("/api/explain", FOUNDING)
    assert (status, found["loss"]) == (200, [2.3025850929940455, "2.303"])


def test_the_three_files_are_small_and_carry_the_policy(client: Client) -> None:
    total = 0
    for path, kind in {"/": "text/html", "/explorer.mjs": "text/javascript", "/style.css": "text/css"}.items():
        status, headers, text = client.ask("GET", path)
        assert (status, headers["content-type"]) == (200, f"{kind}; charset=utf-8")
        assert headers["content-security-policy"].startswith(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        )
        assert headers["x-content-type-options"] == "nosniff"
        total += len(text)
    assert total < 100_000


def test_only_this_machine_can_reach_it(address: str) -> None:
    port = int(urlsplit(address).netloc.rpartition(":")[2])
    own = {found[4][0] for found in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for other in own - {"127.0.0.1"}:
        with pytest.raises(OSError, match=r"refused|unreachable"):
            socket.create_connection((other, port), timeout=2)
    with listening(0) as sock:
        assert sock.getsockname()[0] == "127.0.0.1"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost", "127.0.0.1.evil.example:80"])
def test_a_foreign_host_is_refused(client: Client, host: str) -> None:
    for path in ("/", "/api/explain"):
        status, headers, text = client.ask("GET", path, Host=host)
        assert (status, headers["content-type"]) == (421, "application/json")
        number = client.host.rpartition(":")[2]
        wanted = f"`Host` must be 127.0.0.1:{number} or localhost:{number}; got {host!r}."
        assert json.loads(text) == {"error": wanted}


def test_localhost_is_this_machine_too(client: Client) -> None:
    name = f"localhost:{client.host.rpartition(':')[2]}"
    assert client.post("/api/explain", FOUNDING, Host=name, Origin=f"http://{name}")[0] == 200


def test_a_foreign_page_cannot_post(client: Client) -> None:
    refused = client.post("/api/explain", FOUNDING, Origin="https://evil.example")
    assert refused == (403, {"error": "`Origin` must be this page; got 'https://evil.example'."})


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_another_content_type_is_refused(client: Client, kind: str) -> None:
    # a form of a foreign page can send these three without asking, and JSON only after asking
    refused = client.post("/api/explain", FOUNDING, Content_Type=kind)
    assert refused == (415, {"error": f"`Content-Type` must be application/json; got {kind!r}."})


def test_a_large_body_is_refused_with_and_without_its_length(client: Client, address: str) -> None:
    sentence = {"error": f"The body must be at most {LARGEST_BODY} bytes."}
    assert client.post("/api/explain", b"[" * (LARGEST_BODY + 1)) == (413, sentence)
    connection = http.client.HTTPConnection(client.host, timeout=30)
    parts = (b"x" * 65536 for _ in range(6))
    connection.request("POST", "/api/explain", parts, {"Content-Type": "application/json"}, encode_chunked=True)
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())) == (413, sentence)
    connection.close()
    assert client.post("/api/explain", FOUNDING)[0] == 200


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "The body must be JSON; Expecting value: line 1 column 1 (char 0)."),
        (b"{", "The body must be JSON; Expecting property name enclosed in double quotes: line 1 column 2 (char 1)."),
        (b'{"target": NaN}', 'The body must be JSON; NaN is no JSON: write "inf", "-inf" or "nan" as a text.'),
        (b"\xff\xfe\xfd", "The body must be JSON; "),
        (b"[" * 100_000, "The body must be JSON; "),
        (b"1" * 10_000, "The body must be JSON; "),
    ],
)
def test_what_is_no_json_is_refused(client: Client, body: bytes, says: str) -> None:
    status, found = client.post("/api/explain", body)
    assert status == 400
    assert found["error"].startswith(says)


def test_a_body_that_is_json_and_no_case_gets_the_sentence_of_python(client: Client) -> None:
    body = {**FOUNDING, "prediction": [0.1, 0.5, 0.1, 0.1, 1.2]}
    status, found = client.post("/api/explain", body)
    assert status == 422
    assert found["error"].startswith("`prediction` must hold probabilities in [0, 1]; class 4 has 1.2.")


def test_a_lone_surrogate_in_a_name_comes_back_as_it_went(client: Client) -> None:
    status, found = client.post("/api/explain", {"target": 0, "prediction": [0.5, 0.5], "names": ["\ud800", "b"]})
    assert (status, found["rows"][0]["name"]) == (200, "\ud800")


def test_other_addresses_and_methods_are_refused(client: Client) -> None:
    for method, path, status, sentence in (
        ("GET", "/api/explain", 405, "This address does not answer that method."),
        ("GET", "/../../etc/passwd", 404, "There is no such page."),
        ("GET", "/module/ce.mjs", 404, "There is no such page."),
        ("DELETE", "/", 405, "This address does not answer that method."),
    ):
        found = client.ask(method, path)
        assert (found[0], json.loads(found[2])) == (status, {"error": sentence})
    status, found_json = client.post("/api/secrets", {})
    assert (status, found_json["error"][:30]) == (422, "`question` must be one of expl")


def random_request(random: np.random.Generator) -> tuple[str, str, bytes | None, dict[str, str]]:
    """Return method, path, body and headers: sound, nearly sound, or noise."""
    values: list[Any] = [0, 1, 0.25, -1, 1e308, "inf", "-inf", "nan", None, True, [], {}, "x", 1e-320, "0 1", 10**30]

    def pick(of: list[Any]) -> Any:
        return of[int(random.integers(len(of)))]

    def row() -> Any:
        return [pick(values[:8]) for _ in range(int(random.integers(0, 7)))] if random.random() < 0.8 else pick(values)

    body: Any = {"target": row(), "prediction": row()}
    if random.random() < 0.3:
        weights = random.dirichlet(np.ones(5))
        body = {"target": 1, "prediction": weights.tolist()}
    for name in ("kind", "base", "names", "temperature", "locked", "rows", "slice", "guess", "place", "text", "count",
                 "loss", "classes", "history", "outputs", "case"):  # fmt: skip
        if random.random() < 0.12:
            body[name] = pick([*values, "logits", "probs", "2", "e", "1 2 3", "ln", "jteikfqa", 7])
    if random.random() < 0.4:
        body["move"] = {
            "of": pick(["target", "prediction", "kind", 3]),
            "index": pick([0, 1, 9, "a"]),
            "to": pick(values),
        }
    text = json.dumps(body).encode()
    if random.random() < 0.1:
        text = random.bytes(int(random.integers(0, 200)))
    path = pick(["/api/explain"] * 5 + ["/api/bits", "/api/zero", "/api/diagnose", "/", "/nowhere"])
    headers = {"Content-Type": pick(["application/json"] * 9 + ["text/plain"])}
    return pick(["POST"] * 9 + ["GET", "PUT"]), path, text, headers


def survive(address: str, requests: int, seed: int) -> None:
    client, random = Client(address), np.random.default_rng(seed)
    seen: dict[int, int] = {}
    for _ in range(requests):
        method, path, body, headers = random_request(random)
        status, found_headers, text = client.ask(
            method, path, body, **{name.replace("-", "_"): value for name, value in headers.items()}
        )
        seen[status] = seen.get(status, 0) + 1
        assert status in (200, 400, 404, 405, 415, 422), (status, method, path, body, text)
        if found_headers["content-type"] == "application/json":
            found = json.loads(text, parse_constant=pytest.fail)
            assert (status == 200) == ("error" not in found)
            if status != 200:
                assert "\n" not in found["error"]
                assert "Traceback" not in found["error"]
    assert client.post("/api/explain", FOUNDING)[0] == 200
    client.connection.close()
    assert min(seen.get(200, 0), seen.get(422, 0)) > requests / 20, seen


def test_it_survives_300_random_requests(address: str) -> None:
    survive(address, 300, seed=1)


@pytest.mark.slow
def test_it_survives_10_000_random_requests(address: str) -> None:
    survive(address, 10_000, seed=2)


def test_a_port_that_is_taken_or_none_is_said_in_one_sentence() -> None:
    with listening(0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OptionError) as caught:
            listening(port)
    wanted = f"`port` {port} cannot be used (Address already in use): choose another, or 0 for any free one."
    assert str(caught.value) == wanted
    with pytest.raises(RangeError) as out_of_range:
        listening(70_000)
    assert str(out_of_range.value) == "`port` must lie in [0, 65535]; got 70000."
