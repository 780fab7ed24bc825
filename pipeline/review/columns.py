"""The columns of the review table: their names, and what each is for, as the table itself explains them."""

COLUMNS = {
    "id": "Names the picture. Leave it as it is: a row whose id is changed is refused.",
    "picture": "The picture, small; in a text file the place of a small one beside it.",
    "file": "Where the picture came from.",
    "machine_caption": "What was proposed before any person spoke, by a machine or beside the file.",
    "candidates": "Other proposals, best first, one a line.",
    "scores": "fit: how well the machine's caption tells of the picture (100 x cosine of CLIP); the worst come first.",
    "flags": "Why the caption may need a look, and what was decided before.",
    "caption": "The caption as it stands. EDIT THIS ONE: an edited caption counts as accepted.",
    "decision": "accept: the caption is right. keep: the picture stays, whatever the rules say. drop: it leaves. "
    "unsure: someone else has to look. Blank decides nothing.",
    "note": "Anything that you want to say about the picture; it decides nothing.",
    "reviewer": "Who decides; blank: who applies the file.",
    "before": "The caption as it stood when this file was written. Leave it as it is: by it an edit is told from what "
    "the program did to the text.",
    "base": "The version that you were shown, and two letters that tell whether accents survived. Leave it as it is.",
}
"""Each column's name in order, and what it says to whoever fills it in."""

NEEDED = ("id", "caption", "decision", "before", "base")
"""Without these a table cannot be applied."""

WORDS = ("accept", "keep", "drop", "unsure")
"""What may stand in the column `decision`."""

HINTS = (
    "Deleting a row does not drop its picture; write drop.",
    "Rows may be sorted and filtered, columns moved and added; sort whole rows, never one column.",
    "Nothing is applied if a cell cannot be understood; the message names its row.",
)


def known(header: str) -> str:
    """A column's name as it is compared: whatever its case, blanks and hyphens."""
    return "_".join(header.replace("\ufeff", "").replace("-", " ").replace("_", " ").casefold().split())


def explained() -> str:
    """All of it as a page of text."""
    width = max(map(len, COLUMNS)) + 2
    return "\n".join([*(f"{name:<{width}}{text}" for name, text in COLUMNS.items()), "", *HINTS]) + "\n"
