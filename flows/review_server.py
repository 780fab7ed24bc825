"""The review page's server: a desk behind HTTP, for this machine alone and for those who have the token.

Captions and file names are hostile text: they travel as JSON and are shown as text, and the page may run nothing but
its own files. A request has to name this machine as its host (or a page elsewhere could reach it by a name that it
resolves to this machine), bring the cookie that the address with the token sets, and, to change something, come from
the page itself.
"""

import hmac
import json
import secrets
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse
from pydantic import BaseModel, Field

from pipeline import imaging
from pipeline.errors import InputError, PictureError, UserError
from pipeline.review import desk as desks
from pipeline.review.columns import WORDS
from pipeline.review.desk import Desk, Wish
from pipeline.review.rows import ReviewRow
from pipeline.review.table import Word
from pipeline.review.vocabulary import terms
from pipeline.steps.reading import Read

PAGE = Path(__file__).parent / "review_page"
FILES = {"page.html", "page.css", "page.js", "api.js", "list.js", "words.js", "dialogs.js", "reading.js"}
SMALL, LARGE = 160, 1280
"""Longest sides of the pictures that the page shows, in pixels."""
RECENT = 600.0
"""The pace is that of so many seconds."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


class Wanted(BaseModel):
    """One wish of the page."""

    id: str
    seen: str
    version: str
    caption: str
    word: Word = ""
    note: str = ""


class Deciding(BaseModel):
    """What the page wants to be decided, and the picture that it goes on to."""

    reviewer: str
    wishes: list[Wanted] = Field(min_length=1, max_length=1_000_000)
    bulk: bool = False
    next: str | None = None


class Typing(BaseModel):
    """What was typed so far; null forgets it."""

    reviewer: str
    id: str
    text: str | None


class Reading(BaseModel):
    """A caption's body as it is in the field."""

    id: str
    text: str = Field(max_length=100_000)


class Undoing(BaseModel):
    """Which batch is taken back."""

    reviewer: str
    batch: str


class Ascii(JSONResponse):
    """JSON in ASCII: names of files may hold what is no text."""

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - starlette's own signature
        """The content as bytes."""
        return json.dumps(content).encode("ascii")


def address(port: int = 0) -> tuple[socket.socket, str]:
    """A port of this machine alone (0: one that is free), not served yet, and a new token.

    Raises:
        InputError: somebody else has the port.
    """
    taken = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind(("127.0.0.1", port))
        taken.listen()
    except OSError as error:
        taken.close()
        raise InputError(
            f"this port cannot be had ({error.strerror})", field="--port", value=port, remedy="Leave it out."
        ) from error
    return taken, secrets.token_urlsafe(24)


def serve(app: FastAPI, taken: socket.socket) -> None:
    """Serve until it is stopped."""
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run([taken])


def app(
    desk: Desk,
    read: Callable[[str], bytes],
    *,
    port: int,
    token: str,
    reviewer: str,
    reading: Callable[[str, str], Read] = lambda _, body: Read(body),
) -> FastAPI:
    """The server of a desk. `read` gives a sample's original bytes, `reading` says what training will read of its body.

    `reviewer` is who reviews unless the page says.
    """
    server = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, default_response_class=Ascii)
    hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
    cookie = f"gesso_review_{port}"
    times: dict[str, list[float]] = {}

    @server.middleware("http")
    async def guard(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        given = request.cookies.get(cookie, "")
        named = request.query_params.get("token", "")
        if request.headers.get("host") not in hosts:
            answer: Response = Ascii({"error": "another host"}, 403)
        elif request.url.path == "/" and named and hmac.compare_digest(named.encode(), token.encode()):
            rest = request.url.include_query_params().remove_query_params("token")
            answer = RedirectResponse(f"/?{rest.query}" if rest.query else "/", 303)
            answer.set_cookie(cookie, token, httponly=True, samesite="strict")
        elif not hmac.compare_digest(given.encode(), token.encode()):
            answer = Ascii({"error": "Open the whole address that gesso printed: it has a token."}, 403)
        elif request.method != "GET" and request.headers.get("origin") not in {f"http://{host}" for host in hosts}:
            answer = Ascii({"error": "not from the page"}, 403)
        else:
            answer = await go_on(request)
        for name, value in HEADERS.items():
            answer.headers.setdefault(name, value)
        return answer

    @server.exception_handler(UserError)
    def refused(_: Request, error: UserError) -> Response:
        said = f"{error.problem}. {error.remedy}"
        return Ascii({"error": said[:1].upper() + said[1:]}, 400)

    @server.get("/")
    def page() -> FileResponse:
        return FileResponse(PAGE / "page.html")

    @server.get("/static/{name}", response_model=None)
    def static(name: str) -> Response:
        return FileResponse(PAGE / name) if name in FILES else Ascii({"error": "no such file"}, 404)

    small = lru_cache(maxsize=4000)(partial(_encoded, read, SMALL))
    large = lru_cache(maxsize=64)(partial(_encoded, read, LARGE))

    @server.get("/{size}/{id_}.webp")
    def picture(size: str, id_: str) -> Response:
        data = (small if size == "small" else large)(desk.row(id_).sample_id)
        # the name is of the content: it never changes
        keep = {"Cache-Control": "private, max-age=86400, immutable"}
        return Response(data, media_type="image/webp", headers=keep) if data else Ascii({"error": "no picture"}, 404)

    @server.get("/api/start")
    def start(as_: Annotated[str, Query(alias="reviewer")] = "") -> dict[str, Any]:
        rows, who = desk.rows(), as_ or reviewer
        counts = Counter(flag for row in rows for flag in row.flags if len(flag) < 40)
        return {
            "reviewer": who,
            "flags": counts.most_common(),
            "states": list(desks.STATES),
            "words": WORDS,
            "drafts": desk.drafts(who),
        }

    @server.get("/api/terms")
    def words() -> dict[str, Any]:
        return {"terms": terms(row.caption for row in desk.rows())}

    @server.get("/api/list")
    def listed(search: str = "", flag: str = "", state: str = "all") -> dict[str, Any]:
        state = state if state in desks.STATES else "all"
        return {"ids": [row.id for row in desks.found(desk.rows(), search=search, flag=flag, state=state)]}

    @server.get("/api/rows")
    def some(ids: str) -> list[dict[str, Any]]:
        known = {row.id: row for row in desk.rows()}
        return [_brief(known[one]) for one in ids.split(",") if one in known]

    @server.get("/api/row/{id_}")
    def one(id_: str) -> dict[str, Any]:
        return _whole(desk, id_)

    @server.get("/api/progress")
    def progress(as_: Annotated[str, Query(alias="reviewer")] = "") -> dict[str, Any]:
        rows, now = desk.rows(), time.monotonic()
        recent = [at for at in times.get(as_, []) if at > now - RECENT]
        span = max(now - recent[0], 1.0) / 60 if recent else 1.0
        return {
            "total": len(rows),
            "decided": sum(row.decided and row.read for row in rows),
            "unread": sum(not row.read for row in rows),
            "conflicts": sum("in conflict" in row.flags for row in rows),
            "a_minute": round(len(recent) / span, 1) if len(recent) > 1 else None,
        }

    @server.get("/api/replace")
    def preview(find: str, by: str = "", search: str = "", flag: str = "", state: str = "all") -> dict[str, Any]:
        state = state if state in desks.STATES else "all"
        wishes = desks.replaced(desks.found(desk.rows(), search=search, flag=flag, state=state), find, by)
        return {"wishes": [{"id": w.id, "seen": w.seen, "version": w.version, "caption": w.caption} for w in wishes]}

    @server.post("/api/draft")
    def typed(said: Typing) -> dict[str, Any]:
        desk.draft(said.id, said.reviewer, said.text)
        return {"saved": True}

    @server.post("/api/decide")
    def decide(said: Deciding) -> dict[str, Any]:
        done = desk.decide([Wish(**wish.model_dump()) for wish in said.wishes], said.reviewer, bulk=said.bulk)
        times.setdefault(said.reviewer, []).extend([time.monotonic()] * min(done.decisions, 1))
        row = _whole(desk, said.wishes[0].id) if len(said.wishes) == 1 else None
        told = {"batch": done.batch, "decisions": done.decisions, "conflicts": len(done.conflicts), "row": row}
        with suppress(InputError):  # what was decided is on the disk, whatever comes next
            told["next"] = _whole(desk, said.next) if said.next else None
        return told

    @server.post("/api/reading")
    def composed(said: Reading) -> dict[str, Any]:
        return asdict(reading(desk.row(said.id).sample_id, said.text))

    @server.post("/api/undo")
    def undo(said: Undoing) -> dict[str, Any]:
        return {"decisions": desk.undo(said.batch, said.reviewer)}

    return server


def _encoded(read: Callable[[str], bytes], side: int, sample_id: str) -> bytes | None:
    with suppress(PictureError, OSError):
        return imaging.thumbnail(imaging.decode(read(sample_id)).pixels, side, quality=75)
    return None


def _brief(row: ReviewRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "caption": row.caption[:200],
        "decided": row.decided,
        "read": row.read,
        "verdict": row.verdict,
        "conflict": "in conflict" in row.flags,
        "flags": len(row.flags),
    }


def _whole(desk: Desk, id_: str) -> dict[str, Any]:
    row = desk.row(id_)
    said, waiting = desk.history(row)
    return {
        **_brief(row),
        "caption": row.caption,
        "version": row.version,
        "origin": row.origin.encode("utf-8", "backslashreplace").decode(),
        "proposed": row.proposed,
        "source": row.source,
        "candidates": list(dict.fromkeys(text for text in (*row.candidates, row.proposed) if text.strip()))[:9],
        "flags": list(row.flags),
        "fit": row.fit,
        "note": row.note,
        "said": [[one.at, one.reviewer, one.verdict, one.caption, one.note] for one in said[-20:]],
        "conflicts": [
            [one.reviewer, one.seen, one.mine, one.theirs, one.mine_verdict, one.theirs_verdict] for one in waiting
        ],
    }
