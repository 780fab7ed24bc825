import http.server
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources import _web
from pipeline.sources._web import Caps, FetchError, allowed, fetch


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def send(self, status=200, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        own = f"http://127.0.0.1:{self.server.server_port}"
        match self.path.strip("/").split("?")[0]:
            case "picture":
                self.send(body=b"picture")
            case "there":
                self.send(302, Location="/picture")
            case "elsewhere":
                self.send(302, Location="/a picture/\u00f1.png".encode().decode("latin-1"))
            case "a%20picture/%C3%B1.png":
                self.send(body=b"with a space")
            case "round":
                self.send(302, Location="/round")
            case "inside":
                self.send(302, Location=own.replace("127.0.0.1", "127.0.0.2") + "/picture")
            case "metadata":
                self.send(302, Location="http://169.254.169.254/latest")
            case "file":
                self.send(302, Location="file:///etc/passwd")
            case "noai":
                self.send(body=b"x", X_Robots_Tag="noindex, noai")
            case "agent":
                self.send(body=b"x", X_Robots_Tag="somebot: NoImageAI")
            case "tdm":
                self.send(body=b"x", TDM_Reservation="1")
            case "fine":
                self.send(body=b"x", X_Robots_Tag="noindex")
            case "claims":
                self.send(body=b"x", Content_Length="999999")
            case "short":
                self.send(body=b"x", Content_Length="50")
            case "endless":
                self.send_response(200)
                self.end_headers()
                for _ in range(1000):
                    self.wfile.write(b"x" * 1000)
            case "slow":
                self.send_response(200)
                self.end_headers()
                for _ in range(100):
                    self.wfile.write(b"x")
                    time.sleep(0.05)
            case "dribble":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
                for _ in range(100):
                    self.wfile.write(b"x")
                    time.sleep(0.05)
            case "continue":
                for _ in range(100):
                    self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                    time.sleep(0.05)
            case "busy":
                self.send(503, Retry_After="7")
            case _:
                self.send(404)


@pytest.fixture(scope="module")
def server():
    http.server.ThreadingHTTPServer.daemon_threads = True
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{made.server_port}"
    made.shutdown()
    made.server_close()


@pytest.fixture
def get(server):
    return lambda path, **caps: fetch(
        f"http://{server}/{path}", Caps(**{"private": {server}, "max_bytes": 5000, "seconds": 20.0, **caps})
    )


def test_what_is_there_comes_with_its_last_address(get, server):
    assert get("picture?a=b c".replace(" ", "%20")).data == b"picture"
    came = get("there")
    assert (came.data, came.url) == (b"picture", f"http://{server}/picture")


def test_spaces_and_other_letters_of_an_address_are_sent_as_servers_want_them(get, server):
    """Lists have them as people see them, and so has what servers redirect to."""
    for path in ("a picture/\u00f1.png", "a%20picture/%C3%B1.png", "elsewhere"):
        assert get(path).data == b"with a space"
    assert get("elsewhere").url == f"http://{server}/a%20picture/%C3%B1.png"


def test_private_addresses_are_refused_unless_allowed_by_name_and_port(server):
    with pytest.raises(FetchError, match=r"unsafe_address: 127\.0\.0\.1 is 127\.0\.0\.1") as caught:
        fetch(f"http://{server}/picture", Caps())
    assert not caught.value.again
    with pytest.raises(FetchError, match="unsafe_address"):
        fetch(f"http://{server}/picture", Caps(private={"127.0.0.1:1"}))


@pytest.mark.parametrize("path", ["inside", "metadata", "file"])
def test_every_hop_is_checked(get, path):
    with pytest.raises(FetchError, match="unsafe_address"):
        get(path)


def test_a_name_that_turns_private_between_check_and_use_gains_nothing(get, server, monkeypatch):
    """The connection is made to the address that was checked; the name is looked up once."""
    asked, real = [], _web.socket.getaddrinfo
    monkeypatch.setattr(
        _web.socket, "getaddrinfo", lambda host, *a, **k: asked.append(host) or real("8.8.8.8", *a, **k)
    )
    made = []
    monkeypatch.setattr(_web.socket, "create_connection", lambda place, timeout: made.append(place) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        fetch("http://example.org/a", Caps())
    assert asked == ["example.org"]
    assert made == [("8.8.8.8", 80)]


@pytest.mark.parametrize(
    "address",
    [
        *(
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.1",
            "100.64.0.1",
        ),
        *("224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1"),
        *("::ffff:10.0.0.1", "2002:7f00:1::", "ff02::1", "fec0::1"),
    ],
)
def test_addresses_that_are_not_of_the_public_internet(address):
    assert not allowed(address)


@given(st.ip_addresses(network="8.0.0.0/8"))
def test_public_addresses(address):
    assert allowed(str(address))


@pytest.mark.parametrize("path", ["noai", "agent", "tdm"])
def test_objections_to_training_are_honoured(get, path):
    with pytest.raises(FetchError, match="objected: ") as caught:
        get(path)
    assert not caught.value.again
    assert get("fine").data == b"x"


@pytest.mark.parametrize(
    ("path", "reason", "again"),
    [
        ("claims", "too_many_bytes", False),
        ("endless", "too_many_bytes", False),
        ("short", "unreachable", True),
        ("nothing", "http_status: 404", False),
        ("round", "http_status: more than 5 redirects", False),
        ("busy", "http_status: 503", True),
    ],
)
def test_what_does_not_come(get, path, reason, again):
    with pytest.raises(FetchError, match=reason) as caught:
        get(path)
    assert caught.value.again is again
    assert caught.value.wait == (7.0 if path == "busy" else 0.0)


@pytest.mark.parametrize("path", ["slow", "dribble", "continue"])
def test_what_trickles_is_left_in_time(get, path):
    """The body, one endless header, and one interim answer after the other."""
    began = time.monotonic()
    with pytest.raises(FetchError, match=r"timeout: more than 0\.5 s"):
        get(path, seconds=0.5)
    assert time.monotonic() - began < 2.5


def test_who_does_not_answer(server):
    with pytest.raises(FetchError, match="unreachable"):
        fetch("http://127.0.0.1:1/", Caps(private={"127.0.0.1:1"}))


@pytest.mark.parametrize(
    "url",
    [
        *(
            "file:///etc/passwd",
            "ftp://example.org/a",
            "gopher://x",
            "data:image/png;base64,x",
            "example.org/a.png",
            "",
        ),
        *(
            "http://",
            "http:///a",
            "http://user:word@example.org/",
            "http://example.org:0/",
            "http://[::1",
            "http://a b/",
        ),
        "http://example.org/a\nHost: evil",
    ],
)
def test_what_is_no_address_is_refused_before_anything_is_asked(url, monkeypatch):
    monkeypatch.setattr(_web.socket, "getaddrinfo", lambda *a, **k: 1 / 0)
    with pytest.raises(FetchError, match="unsafe_address"):
        fetch(url, Caps())
