"""Collects what is wrong with a reviewed file, so that a person mends it in one go."""

from dataclasses import dataclass, field

from pipeline.errors import ReviewError

SHOWN = 20


@dataclass(slots=True)
class Problems:
    """The mistakes found so far in the file that is called `name`."""

    name: str
    found: list[ReviewError] = field(default_factory=list)

    def add(self, problem: str, *, cell: str, remedy: str, value: object = None) -> None:
        """Note a mistake at `cell`, such as "row 12, column caption"."""
        self.found.append(ReviewError(problem, field=cell, value=_short(value), remedy=remedy))

    def raise_if_any(self) -> None:
        """Raise one ReviewError that tells all of them, the first 20 in full."""
        if not self.found:
            return
        if len(self.found) == 1:
            only = self.found[0]
            raise ReviewError(only.problem, field=f"{self.name}, {only.field}", value=only.value, remedy=only.remedy)
        lines = [str(error) for error in self.found[:SHOWN]]
        if len(self.found) > SHOWN:
            lines.append(f"and {len(self.found) - SHOWN} more")
        raise ReviewError(
            f"{len(self.found)} problems:\n  " + "\n  ".join(lines) + "\nNothing was applied",
            field=self.name,
            remedy="Mend these cells and apply the file again.",
        )


def _short(value: object) -> object:
    return value[:77] + "..." if isinstance(value, str) and len(value) > 80 else value
