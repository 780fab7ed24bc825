"""Three-way merge of one value: what a reader saw, what they made of it, and what stands now."""

from typing import Literal, TypeVar

Value = TypeVar("Value")
Outcome = Literal["unchanged", "mine", "theirs", "same", "conflict"]


def merge(seen: Value, mine: Value, stands: Value) -> Outcome:
    """Which value is to stand: `stands` where nobody or only someone else changed it, `mine` where only I did.

    `same` says that both changed it and agree, `conflict` that they do not: a person decides.
    """
    if mine == seen:
        return "unchanged" if stands == seen else "theirs"
    if stands == seen:
        return "mine"
    return "same" if mine == stands else "conflict"
