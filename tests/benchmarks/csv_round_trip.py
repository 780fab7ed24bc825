"""Review tables through what programs and people do to them: 10,000 drawn cases of export, damage, apply.

python tests/benchmarks/csv_round_trip.py [--cases 10000] [--record]

A case is a few captions, some decided before; what a reviewer means to do to them; what others decided meanwhile; and
what befell the file: another format, encoding, separator or end of line, columns moved, added and renamed in case, rows
sorted, doubled and gone, ids changed, cells cut, trimmed, autocorrected, read as dates, one column sorted or moved by a
row, a text replaced all over the sheet. The file is refused, with not a byte changed, or it is applied; then each
caption and verdict has to be what the reviewer meant or what stood before where their row is gone. `silently_changed`
counts cases in which one is neither and nothing was told of that row. `repaired` counts cases that were applied
although a program had changed cells.
"""

import argparse
import csv
import io
import json
import platform
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from openpyxl import load_workbook

from pipeline.errors import ReviewError
from pipeline.review import journal, table
from pipeline.review.apply import Applying, apply, changes
from pipeline.review.columns import COLUMNS
from pipeline.review.damage import cosmetic
from pipeline.review.journal import Decision
from pipeline.review.rows import Proposal, ReviewRow, review_rows
from pipeline.review.spreadsheet import shown, unescaped
from pipeline.review.versions import plain

ROOT = Path(__file__).parents[2]
EARLIER, SINCE, NOW = (f"2025-01-31T{hour:02}:00:00+00:00" for hour in (8, 9, 10))
TEXTS = (
    "a cat", "a dog in the snow", "a lynx", "Łódź at night", "a café in São Paulo", 'the "red" cat', "it's 5 o'clock",
    "\u201cquoted\u201d \u2013 and more\u2026", "=1+1", "-5 degrees", "@home", "'tis a cat", "'=x", "''", "1/2", "3-4",
    "007", "1e5", "TRUE", "12:30", "灰色の猫", "👩‍👩‍👧 on a sofa", "one\ntwo", "a\r\nb", "a; b, c\td", "what is this?",
    "e\u0301te\u0301", "a\u200bb", "tab\there", "x" * 300, "y" * 32_000, "\ufeffa cat", "_x0041_ cat", " padded ",
    "\x0bodd", "caf\u00e9 ½",
)  # fmt: skip
captions = st.sampled_from(TEXTS) | st.text(max_size=40).filter(lambda text: bool(text.strip()))


@dataclass
class File:
    """The cells of a table between export and apply, and how they are going to be saved."""

    cells: list[dict[str, str]]
    header: list[str] = field(default_factory=lambda: list(COLUMNS))
    suffix: str = ".csv"
    encoding: str = "utf-8-sig"
    delimiter: str = ","
    ending: str = "\r\n"
    quoting: int = csv.QUOTE_MINIMAL


@dataclass(frozen=True)
class Meant:
    """What a reviewer means to do to one row."""

    caption: str | None
    decision: str


def moved(draw: Any, file: File) -> None:
    """Columns moved, added, renamed in case; rows sorted."""
    file.header = draw(st.permutations(file.header))
    file.cells = draw(st.permutations(file.cells))
    for cells in file.cells:
        cells["Remarks"] = "x"
    file.header.append("Remarks")


def gone(draw: Any, file: File) -> None:
    """Some rows deleted."""
    file.cells = [cells for cells in file.cells if draw(st.booleans())]


def doubled(draw: Any, file: File) -> None:
    """A row twice, the second time perhaps with another caption."""
    if file.cells:
        again = dict(draw(st.sampled_from(file.cells)))
        again["caption"] = draw(st.just(again["caption"]) | captions)
        file.cells.append(again)


def renamed_id(draw: Any, file: File) -> None:
    """An id changed: by a letter, to nothing, or to another picture's."""
    if file.cells:
        cells = draw(st.sampled_from(file.cells))
        others = [one["id"] for one in file.cells]
        cells["id"] = draw(st.sampled_from([*others, "", cells["id"][:-1] + "0", cells["id"].upper()]))


def one_column(draw: Any, file: File) -> None:
    """One column sorted, or moved by a row, without the others."""
    shuffle(draw, file, draw(st.sampled_from(["id", "before", "base"])))


def shuffle(draw: Any, file: File, name: str) -> None:
    """Sort a column, or move it by a row."""
    column = [cells[name] for cells in file.cells]
    column = sorted(column) if draw(st.booleans()) else ["", *column][: len(column)]
    for cells, text in zip(file.cells, column, strict=True):
        cells[name] = text


def every_text(change: Callable[[str], str]) -> Callable[[Any, File], None]:
    """A program that does something to every text of the file."""

    def befall(_draw: Any, file: File) -> None:
        file.cells = [{name: change(text) for name, text in cells.items()} for cells in file.cells]

    return befall


def a_caption(change: Callable[[str], str]) -> Callable[[Any, File], None]:
    """A program that does something to the cell that a person touched."""

    def befall(draw: Any, file: File) -> None:
        if file.cells:
            cells = draw(st.sampled_from(file.cells))
            cells["caption"] = change(cells["caption"])

    return befall


def curly(text: str) -> str:
    """Quotes and dashes as autocorrection makes them."""
    return text.replace('"', "\u201d").replace("'", "\u2019").replace("...", "\u2026").replace(" - ", " \u2013 ")


def as_date(text: str) -> str:
    """What looks like a date or a number, as a spreadsheet shows it."""
    return {"1/2": "01.Feb", "3-4": "04.Mar", "007": "7", "1e5": "100000", "12:30": "12:30:00"}.get(text, text)


def mojibake(text: str) -> str:
    """UTF-8 read as Windows-1252."""
    return text.encode("utf-8", "replace").decode("cp1252", "replace")


def replaced(text: str) -> str:
    """A word replaced all over the sheet."""
    return text.replace("cat", "dog")


DAMAGE: dict[str, Callable[[Any, File], None]] = {
    "moved": moved,
    "gone": gone,
    "doubled": doubled,
    "renamed_id": renamed_id,
    "one_column": one_column,
    "caption_column": lambda draw, file: shuffle(draw, file, "caption"),
    "trimmed": every_text(str.strip),
    "bare CR": every_text(lambda text: text.replace("\n", "\r")),
    "curly": every_text(curly),
    "dates": every_text(as_date),
    "mojibake": every_text(mojibake),
    "cut": every_text(lambda text: text[:32_767]),
    "cut short": every_text(lambda text: text[:255]),
    "replaced": every_text(replaced),
    "curly caption": a_caption(curly),
    "caption as date": a_caption(as_date),
    "apostrophe": a_caption(lambda text: text.removeprefix("'")),
    "cut caption": a_caption(lambda text: text[:255]),
}
HARMLESS = ("moved", "gone", "doubled")


def typed(draw: Any, file: File, meant: dict[str, Meant]) -> None:
    """The reviewer's work in the cells."""
    for cells in file.cells:
        want = meant[cells["id"]]
        if want.caption is not None:
            cells["caption"] = want.caption
        cells["decision"] = draw(st.sampled_from([want.decision, want.decision.upper(), f" {want.decision}"]))


def save(file: File, path: Path) -> Path:
    """Save the file as a program would: letters that the encoding lacks become question marks."""
    if file.suffix == ".xlsx":
        book = load_workbook(path)
        sheet = book["captions"]
        sheet.delete_rows(1, sheet.max_row)
        for row in [file.header, *([cells[name] for name in file.header] for cells in file.cells)]:
            sheet.append(["" for _ in row])
            for place, text in enumerate(row, start=1):
                cell = sheet.cell(sheet.max_row, place)
                cell.value = shown(text)
                cell.data_type = "s"
        book.save(path)
        return path
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, delimiter=file.delimiter, lineterminator=file.ending, quoting=file.quoting)
    titles = [name.title() if len(file.cells) % 2 else name for name in file.header]
    writer.writerows([titles, *([cells[name] for name in file.header] for cells in file.cells)])
    path.write_bytes(buffer.getvalue().encode(file.encoding, errors="replace"))
    return path


@st.composite
def cases(draw: Any) -> Any:
    """Captions, what was decided before and since, what is meant, and what befalls the file."""
    bodies = draw(st.lists(captions, min_size=1, max_size=5))
    numbers = st.integers(0, len(bodies) - 1)
    earlier = draw(st.dictionaries(numbers, captions, max_size=2))
    since = draw(st.just({}) | st.dictionaries(numbers, captions, max_size=2))
    meant = [
        Meant(draw(st.none() | captions), draw(st.sampled_from(["", "", "accept", "keep", "drop", "unsure"])))
        for _ in bodies
    ]
    befall = draw(st.lists(st.sampled_from(list(DAMAGE)), max_size=2))
    form = {
        "suffix": draw(st.sampled_from([".csv", ".csv", ".csv", ".tsv", ".xlsx"])),
        "encoding": draw(st.sampled_from(["utf-8-sig", "utf-8", "utf-16", "utf-16-le", "cp1252", "mac_roman"])),
        "delimiter": draw(st.sampled_from(",;\t")),
        "ending": draw(st.sampled_from(["\r\n", "\n", "\r"])),
        "quoting": draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
    }
    return bodies, earlier, since, meant, befall, form, draw(st.data())


def stand(folder: Path, bodies: list[str]) -> list[ReviewRow]:
    """The rows with all that was decided."""
    made = [
        Proposal(
            sample_id=f"{n:016x}{n:048x}", pixel_id=f"p{n}", origin=f"{n}.jpg", split="train", body=body, source="blip"
        )
        for n, body in enumerate(bodies)
    ]
    return review_rows(made, journal.load(folder).latest())


def decide(folder: Path, captions: dict[int, str], who: str, at: str) -> None:
    """Decisions that someone made elsewhere."""
    said = [Decision(pixel_id=f"p{n}", reviewer=who, at=at, caption=text) for n, text in captions.items()]
    journal.append(folder, said)


def play(case: Any, folder: Path) -> str:
    """One case, in an empty folder; `refused`, `applied`, `repaired` or `silently changed`, and then what.

    Raises:
        AssertionError: a refused file changed something.
    """
    bodies, earlier, since, meant, befall, form, data = case
    journals, path = folder / "decisions", folder / f"r{form['suffix']}"
    decide(journals, earlier, "anna", EARLIER)
    before = stand(journals, bodies)
    wants = {row.id: one for row, one in zip(before, meant, strict=True)}
    table.export(before, path)
    plainly = folder / "plain.csv"
    table.export(before, plainly)
    with plainly.open(encoding="utf-8-sig", newline="") as opened:
        file = File([dict(row) for row in csv.DictReader(opened)], **form)
    truth = {row.id: row.id for row in before}
    # before the reviewer types: what they type in a row is about its picture. What was typed and moved afterwards looks
    # like any other edit, which nothing can tell
    if "caption_column" in befall:
        DAMAGE["caption_column"](data.draw, file)
    typed(data.draw, file, wants)
    for name in (one for one in befall if one != "caption_column"):
        DAMAGE[name](data.draw, file)
    # a program in which ids were deleted or doubled leaves rows of which one cannot say whose they are: they have to go
    there = {cells["id"].strip().lower() for cells in file.cells} & truth.keys()
    save(file, path)
    decide(journals, since, "bo", SINCE)
    now = {row.id: row for row in stand(journals, bodies)}
    content = {one.name: one.read_bytes() for one in journals.glob("*.jsonl")}
    try:
        reading = table.read(path)
        found = changes(list(now.values()), reading.rows, journal.load(journals), Applying("me", NOW))
        apply(found, journals, batch="b")
    except ReviewError:
        assert content == {one.name: one.read_bytes() for one in journals.glob("*.jsonl")}, (
            "a refused file changed something"
        )
        return "refused"
    told = {next(one.id for one in reading.rows if one.line == line) for line, _ in found.repaired}
    for row in stand(journals, bodies):
        want, old = wants[row.id], now[row.id]
        allowed = {plain(old.caption)}
        if row.id in there and want.caption is not None and row.id not in told:
            new = {plain(want.caption), plain(shown(want.caption)), plain(unescaped(want.caption))}
            # a word replaced all over the sheet is the reviewer's own doing; where nothing was edited it is refused
            new |= set(map(replaced, new)) if "replaced" in befall else set()
            # so is an apostrophe that is gone from the cell once it is typed
            new |= {text.removeprefix("'") for text in new} if "apostrophe" in befall else set()
            # an edit that is none but for quotes, dashes and spaces may be taken for none, and is told
            allowed = new | (allowed if found.cosmetic or want.decision == "drop" else set())
            allowed |= {plain(old.caption)} if new & {plain(before[int(row.pixel_id[1:])].caption)} else set()
        # quotes that were corrected as they were typed are what the reviewer saw
        if not any(cosmetic(text, plain(row.caption)) for text in allowed):
            return f"silently changed: {old.caption!r} became {row.caption!r}, meant was {want}"
        verdict = want.decision if want.decision in ("keep", "drop", "unsure") else None
        if row.verdict not in ({verdict} if row.id in there else {verdict, old.verdict}):
            return f"silently changed: {row.verdict} was said, meant was {want}"
    program = {"moved", "gone", "doubled"}
    return "repaired" if found.repaired or found.cosmetic or set(befall) - program else "applied"


def run(count: int, place: Path, report: Callable[[str, Any], None]) -> None:
    """Draw and play so many cases."""

    @settings(
        max_examples=count, database=None, deadline=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @seed(20250131)
    @given(cases())
    def each(case: Any) -> None:
        folder = Path(tempfile.mkdtemp(dir=place))
        try:
            report(play(case, folder), case)
        finally:
            shutil.rmtree(folder)

    each()


def main() -> None:
    """Play, print one JSON object, and with --record append it to the kept records."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000, help="how many")
    parser.add_argument("--record", action="store_true", help="append to reports/benchmarks/csv_round_trip.jsonl")
    asked = parser.parse_args()
    ended: Counter[str] = Counter()

    def report(outcome: str, case: Any) -> None:
        ended[outcome.partition(":")[0]] += 1
        if outcome.startswith("silently"):
            sys.stderr.write(f"{outcome} {case[:6]}\n")

    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as place:  # noqa: S108
        run(asked.cases, Path(place), report)
    result = {
        "name": "csv_round_trip",
        "date": datetime.now(UTC).date().isoformat(),
        "tried": ended.total(),
        "silently_changed": ended["silently changed"],
        "refused": ended["refused"],
        "applied": ended["applied"],
        "repaired": ended["repaired"],
        "versions": {"python": platform.python_version()}
        | {n: metadata.version(n) for n in ("hypothesis", "openpyxl")},
        "machine": f"{platform.system()} {platform.machine()}",
    }
    line = json.dumps(result)
    if asked.record:
        with (ROOT / "reports" / "benchmarks" / "csv_round_trip.jsonl").open("a") as file:
            file.write(line + "\n")
    print(line)  # noqa: T201 (the benchmark's result)


if __name__ == "__main__":
    main()
