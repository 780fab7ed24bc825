"""What training will read of captions: put together as the recipe says, as far as the text encoder's tokens go."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from pipeline import learning, model_files
from pipeline.errors import ModelError
from pipeline.original import kinds
from pipeline.review.rows import ReviewRow
from pipeline.run import Run
from pipeline.selection import Kept
from pipeline.trainset import build
from pipeline.trainset.composition import without
from pipeline.trainset.lengths import Ruler, surely_read


@dataclass(frozen=True, slots=True)
class Read:
    """A composed caption, how many of its characters are read, its tokens, and how many tokens are read at most.

    The numbers are None where no text encoder reads captions.
    """

    caption: str
    characters: int | None = None
    tokens: int | None = None
    longest: int | None = None


class Composer:
    """Puts captions together around their bodies, for `pictures` of a run."""

    def __init__(self, run: Run, pictures: Iterable[Kept]) -> None:
        self._recipe = run.recipe.caption
        self._pictures = {one.sample_id: one for one in pictures}
        self._tags = {row["sample_id"]: row.get("tags") or "" for row in run.rows("captions")}

    def composed(self, sample_id: str, body: str) -> str:
        """The caption that training reads where this body stands."""
        one, recipe = self._pictures[sample_id], self._recipe
        caption = build.compose(
            recipe.compose,
            body=body,
            class_=one.origins[0]["class"],
            trigger=recipe.triggers.get(one.origins[0]["class"] or "", one.origins[0]["trigger"]),
            tags=self._tags.get(sample_id, ""),
            sidecar=one.sidecar,
        )
        return without(caption, recipe.remove)

    def all(self, bodies: Mapping[str, str]) -> dict[str, str]:
        """The captions of all pictures by sample id; each has its body."""
        return {sample_id: self.composed(sample_id, bodies[sample_id]) for sample_id in self._pictures}


class Reader:
    """Says of captions in review what training will read of them, by the base model's own tokenizer.

    Of a base model that is a single file, or on the hub and not on this machine yet, it is CLIP's, which they all have.
    """

    def __init__(self, run: Run, pictures: Iterable[Kept]) -> None:
        self._run, self._composer = run, Composer(run, pictures)

    def read(self, sample_id: str, body: str) -> Read:
        """What will be read where this body stands; the first time takes the seconds that a tokenizer takes to load."""
        caption = self._composer.composed(sample_id, body)
        if self._ruler is None:
            return Read(caption)
        length = self._ruler.measure(caption)
        return Read(caption, length.read, length.tokens, self._ruler.longest)

    def marked(self, row: ReviewRow) -> ReviewRow:
        """The row with a flag where its caption is cut, and with what of it is left unread."""
        caption = self._composer.composed(row.sample_id, row.caption)
        if surely_read(caption) or self._ruler is None:
            return row
        read = self._ruler.read(caption)
        if read >= len(caption):
            return row
        return replace(row, flags=(*row.flags, f"cut at {self._ruler.longest} tokens"), unread=caption[read:].strip())

    @cached_property
    def _ruler(self) -> Ruler | None:
        recipe = self._run.recipe
        if learning.part(recipe) != "base":
            return None
        base = recipe.base_model
        if kinds.is_file(base.id):
            return Ruler(None)
        try:
            if model_files.on_hub(base.id):
                # half a second of imports; and what is not on this machine is not fetched for a review
                from pipeline import hub

                folder = hub.cached(base.id, base.revision)
                return Ruler(folder if folder and (folder / "tokenizer").is_dir() else None)
            return Ruler(learning.locate(recipe))
        except ModelError:
            return None
