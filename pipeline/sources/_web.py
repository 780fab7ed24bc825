"""One fetch of one address, with what must not happen kept from happening.

Names are resolved here, every address that a host has is checked, and the connection is made to one that was checked:
a host that changes its mind between check and use (rebinding) gains nothing. So for each hop of a redirect. Proxies of
the environment are not used, since they would be asked for addresses that were never checked.
"""

import http.client
import io
import ipaddress
import socket
import ssl
import string
import time
import urllib.parse
from collections.abc import Collection, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import cast

from pipeline.errors import PictureError

AGENT = "gesso/0.1 (training-data preparation; honours X-Robots-Tag)"
REDIRECTS = 5
CHUNK = 64 * 2**10
SCHEMES = ("http", "https")
OBJECTIONS = ("noai", "noimageai")
"""Words of X-Robots-Tag that object to training (DeviantArt's proposal of 2022; img2dataset honours the same)."""
MOVED = (301, 302, 303, 307, 308)
AGAIN = (408, 425, 429, 500, 502, 503, 504)
"""Statuses that may be another the next time."""


@dataclass(frozen=True)
class Fetched:
    """What came."""

    data: bytes
    url: str
    """Where it came from after all redirects."""


class FetchError(PictureError):
    """An address gave nothing; `again` is whether it may the next time, `wait` the seconds that it asked for."""

    def __init__(self, reason: str, detail: str, *, again: bool = False, wait: float = 0.0) -> None:
        super().__init__(reason, detail)
        self.again, self.wait = again, wait


@dataclass(frozen=True)
class Caps:
    """What a fetch may take."""

    seconds: float = 30.0
    """From the first look-up to the last byte, over all redirects."""
    max_bytes: int = 64 * 2**20
    private: Collection[str] = field(default_factory=frozenset)
    """Hosts (host:port) that may have private addresses."""


def fetch(url: str, caps: Caps) -> Fetched:
    """The body at an address.

    Raises:
        FetchError: unsafe_address, objected (a header forbids training), too_many_bytes, timeout, unreachable, or
            http_status; the reason stands first.
    """
    until = time.monotonic() + caps.seconds
    for _ in range(REDIRECTS + 1):
        parts = _checked(url)
        try:
            with closing(_connect(parts, caps, until)) as connection, closing(_ask(connection, parts)) as told:
                place = told.getheader("Location")
                if told.status not in MOVED or not place:
                    return Fetched(_body(told, caps), url)
                # as it was sent: what is no ASCII there is mostly UTF-8
                url = urllib.parse.urljoin(url, urllib.parse.quote(place.encode("latin-1"), safe=string.punctuation))
        except TimeoutError as error:
            raise FetchError("timeout", f"more than {caps.seconds:g} s", again=True) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise FetchError("unreachable", _words(error), again=True) from error
    raise FetchError("http_status", f"more than {REDIRECTS} redirects")


def allowed(address: str) -> bool:
    """Whether an IP address is one of the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
    if mapped is not None and not allowed(str(mapped)):
        return False
    site_local = getattr(ip, "is_site_local", False)
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified or site_local)


def objections(headers: Mapping[str, str] | http.client.HTTPMessage) -> str | None:
    """The header that objects to training, if one does."""
    tags = headers.get_all("X-Robots-Tag", []) if isinstance(headers, http.client.HTTPMessage) else []
    for tag in tags:
        words = {word.strip().lower() for word in tag.replace(":", ",").split(",")}
        if words & set(OBJECTIONS):
            return f"X-Robots-Tag: {' '.join(tag.split())}"
    return "tdm-reservation: 1" if (headers.get("TDM-Reservation") or "").strip() == "1" else None


def _checked(url: str) -> urllib.parse.SplitResult:
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise FetchError("unsafe_address", _words(error)) from error
    if parts.scheme not in SCHEMES:
        raise FetchError("unsafe_address", f"only http and https are fetched, not {parts.scheme or 'a bare name'}")
    if not parts.hostname or port == 0 or parts.username is not None or not url.isprintable() or " " in parts.netloc:
        raise FetchError("unsafe_address", "no host, or a name and password, or what no address has")
    return parts


def _connect(parts: urllib.parse.SplitResult, caps: Caps, until: float) -> http.client.HTTPConnection:
    """A connection to an address of the host that was checked.

    Raises:
        FetchError: an address of it is not public, or none answers.
    """
    host, port = str(parts.hostname), parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise FetchError("unreachable", f"no address of {host}: {_words(error)}", again=True) from error
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    if f"{host}:{port}" not in caps.private:
        for address in addresses:
            if not allowed(address):
                raise FetchError("unsafe_address", f"{host} is {address}, which is not of the public internet")
    failed: Exception | None = None
    for address in addresses:
        try:
            plain = socket.create_connection((address, port), timeout=_left(until))
            if parts.scheme == "https":
                plain = _encrypted(plain, host)
        except TimeoutError as error:
            raise FetchError("timeout", f"more than {caps.seconds:g} s", again=True) from error
        except OSError as error:
            failed = error
            continue
        connection = http.client.HTTPConnection(host, port)
        connection.sock = cast("socket.socket", _Timed(plain, until))
        return connection
    raise FetchError("unreachable", f"{host}: {_words(failed or OSError('no address'))}", again=True)


class _Timed:
    """What `http.client` needs of a socket: all that is read and written ends in time, however headers trickle."""

    def __init__(self, plain: socket.socket, until: float) -> None:
        self._plain, self._until = plain, until

    def sendall(self, data: bytes) -> None:
        self._plain.settimeout(_left(self._until))
        self._plain.sendall(data)

    def makefile(self, _: str) -> io.BufferedReader:
        return io.BufferedReader(_Stream(self._plain, self._until))

    def close(self) -> None:
        self._plain.close()


class _Stream(io.RawIOBase):
    def __init__(self, plain: socket.socket, until: float) -> None:
        self._plain, self._until = plain, until
        self._raw = plain.makefile("rb", buffering=0)  # keeps the socket open while it is read

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        self._plain.settimeout(_left(self._until))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def _encrypted(plain: socket.socket, host: str) -> socket.socket:
    try:
        return ssl.create_default_context().wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


def _ask(connection: http.client.HTTPConnection, parts: urllib.parse.SplitResult) -> http.client.HTTPResponse:
    path = urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, ""))
    headers = {"User-Agent": AGENT, "Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity", "Connection": "close"}
    connection.request("GET", urllib.parse.quote(path, safe="/?&=%:;,@!$'()*+~-._[]|"), headers=headers)
    return connection.getresponse()


def _body(told: http.client.HTTPResponse, caps: Caps) -> bytes:
    if told.status != 200:
        wait = told.getheader("Retry-After") or ""
        again = told.status in AGAIN
        raise FetchError(
            "http_status", f"{told.status} {told.reason}", again=again, wait=float(wait) if wait.isdecimal() else 0.0
        )
    if said := objections(told.headers):
        raise FetchError("objected", said)
    size = told.getheader("Content-Length") or ""
    if size.isdecimal() and int(size) > caps.max_bytes:
        raise _too_many(int(size), caps)
    parts, got = [], 0
    while True:
        part = told.read1(CHUNK)
        if not part:
            break
        parts.append(part)
        got += len(part)
        if got > caps.max_bytes:
            raise _too_many(got, caps)
    if size.isdecimal() and got < int(size):
        raise FetchError("unreachable", f"the connection ended after {got} of {size} bytes", again=True)
    return b"".join(parts)


def _too_many(size: int, caps: Caps) -> FetchError:
    return FetchError("too_many_bytes", f"{size} bytes or more, at most {caps.max_bytes} are allowed")


def _left(until: float) -> float:
    """Seconds that are left.

    Raises:
        TimeoutError: none are.
    """
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _words(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
