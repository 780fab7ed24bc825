"""What a reviewed table would change, in words for a person."""

from collections import Counter
from collections.abc import Callable, Sequence

from pipeline.review.apply import KINDS, Change, Changes

SHOWN = 20


def render(found: Changes) -> str:
    """Tell what would change, old and new captions beneath each other, the first 20 of each sort in full."""
    tally = ", ".join(f"{found.count(kind)} {kind}" for kind in KINDS)
    lines = [f"{tally}; {found.unchanged} unchanged, {len(found.conflicts)} in conflict"]
    for how, count in Counter(how for _, how in found.repaired).items():
        rows = _rows([line for line, one in found.repaired if one == how])
        lines.append(f"{count} untouched captions came back otherwise ({how}) and stay as they were: {rows}")
    if found.cosmetic:
        what = "captions differ in spaces, quotes or dashes alone, which is taken for no edit (--as-is takes them)"
        lines.append(f"{len(found.cosmetic)} {what}: {_rows(found.cosmetic)}")
    if found.absent:
        lines.append(f"{found.absent} pictures are not in the file; nothing is decided about them")
    lines += _list(found.fresh, _change)
    if found.conflicts:
        lines += ["Decided otherwise here since the file was exported:", *_list(found.conflicts, _conflict)]
    return "\n".join(lines)


def _list(some: Sequence[Change], tell: Callable[[Change], list[str]]) -> list[str]:
    lines = [line for change in some[:SHOWN] for line in tell(change)]
    return [*lines, f"and {len(some) - SHOWN} more"] if len(some) > SHOWN else lines


def _change(change: Change) -> list[str]:
    lines = [f"{_line(change.row.origin)}: {' and '.join(change.kinds)}"]
    if change.old != change.new:
        lines += [f"  - {_line(change.old)}", f"  + {_line(change.new)}"]
    return lines


def _conflict(change: Change) -> list[str]:
    lines = [f"{_line(change.row.origin)}: row {change.line}"]
    if change.decision.caption is not None:
        lines += [f"  seen   {_line(change.seen)}", f"  yours  {_line(change.new)}", f"  here   {_line(change.old)}"]
    if change.decision.verdict is not None:
        lines.append(f"  yours  {change.decision.verdict}, here {change.row.verdict}")
    return lines


def _rows(lines: Sequence[int]) -> str:
    shown = ", ".join(map(str, lines[:SHOWN]))
    return f"rows {shown}" + (f" and {len(lines) - SHOWN} more" if len(lines) > SHOWN else "")


def _line(text: str) -> str:
    """A text on one line of a terminal; what would steer the terminal is shown as a mark."""
    shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in " ".join(text.split()))
    return shown if len(shown) <= 200 else shown[:197] + "..."
