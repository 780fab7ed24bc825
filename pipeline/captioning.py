"""What a recipe says of captions: who proposes them, who chooses, and what training reads of them."""

import re
from string import Formatter
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from pipeline.settings import Part

COMPOSED = ("body", "class", "trigger", "tags", "sidecar")
"""What a caption may be composed of."""


class Tags(Part):
    """Tags of pictures beside their captions, for {tags} in caption.compose."""

    tagger: str = Field("clip_tags", description="a captioner that says tags: clip_tags, or wd14")
    params: dict[str, Any] = Field({}, description="the tagger's own parameters, such as a vocabulary")
    model: str | None = Field(None, description="the tagger's model: a folder or a hub id")
    revision: str | None = Field(None, description="commit of the hub model")

    @property
    def tagger_params(self) -> dict[str, Any]:
        """The tagger's own parameters, its model and revision among them where the recipe names them."""
        return _with_model(self.params, self.model, self.revision)


class Caption(Part):
    """Where captions come from and how they are put together."""

    captioner: str = Field("sidecar", description="name of a captioner (`gesso list captioners`)")
    params: dict[str, Any] = Field({}, description="the captioner's own parameters")
    model: str | None = Field(None, description="the captioner's model: starter, a folder, or a hub id")
    revision: str | None = Field(None, description="commit of the hub model")
    prefer_sidecar: bool = Field(
        default=True, description="a caption that stands beside the file goes before a machine's"
    )
    rerank: tuple[Literal["clip", "itm"], ...] = Field(
        (),
        description="who chooses among a captioner's candidates: clip, itm (BLIP's matching head) or both; none: the "
        "captioner itself",
    )
    clip: str | None = Field(
        None, description="CLIP that compares captions with pictures, open_clip's layout too; null: evaluate.clip"
    )
    matcher: str | None = Field(
        None,
        description="BLIP with a matching head, for itm: a folder or a hub id such as Salesforce/blip-itm-base-coco",
    )
    fit: bool = Field(
        default=False, description="measure how well captions tell of their pictures; report and review show the worst"
    )
    clean: bool = Field(
        default=True,
        description="take boilerplate (a picture of), words that BLIP invented (arafed) and repeats out of machines' "
        "captions; each change is recorded",
    )
    replace: dict[str, str] = Field(
        {},
        description="what to write instead of a phrase in machines' captions, nothing: strike it out "
        "(`gesso review lessons` suggests); each change is recorded",
    )
    tags: Tags | None = Field(None, description="tags of every picture, for {tags} in compose; null: none")
    compose: str = Field(
        "{body}",
        description="template over {body}, {class}, {trigger}, {tags} and {sidecar}; empty parts leave no gap",
    )
    triggers: dict[str, str] = Field(
        {}, description="trigger words by class, for sources with several subjects; else the source's own trigger"
    )
    remove: tuple[str, ...] = Field((), description="words, tags or phrases that no caption may have")
    shuffle: bool = Field(
        default=False,
        description="draw another order of a caption's parts between commas for each further view (augment.views)",
    )
    keep_tokens: int = Field(1, ge=0, le=100, description="so many first parts stay where they are; 0 to 100")

    @property
    def captioner_params(self) -> dict[str, Any]:
        """The captioner's own parameters, its model and revision among them where the recipe names them."""
        return _with_model(self.params, self.model, self.revision)

    @model_validator(mode="after")
    def _asks_whom_there_is(self) -> Self:
        if "itm" in self.rerank and self.matcher is None:
            raise ValueError("itm needs caption.matcher: a BLIP with a matching head")
        return self

    @field_validator("replace")
    @classmethod
    def _phrases(cls, replace: dict[str, str]) -> dict[str, str]:
        folded = [" ".join(phrase.split()).casefold() for phrase in replace]
        if not all(re.search(r"\w", phrase) for phrase in folded):
            raise ValueError("a phrase to replace has at least a letter or a digit")
        if doubled := sorted({phrase for phrase in folded if folded.count(phrase) > 1}):
            raise ValueError(f"{doubled[0]!r} is there twice, and its case does not matter")
        return replace

    @model_validator(mode="after")
    def _known_names(self) -> "Caption":
        try:
            parts = [part[1:] for part in Formatter().parse(self.compose) if part[1] is not None]
        except ValueError as error:
            raise ValueError(f"compose has a brace too many or too few: {error}") from error
        unknown = sorted({str(name) for name, *more in parts if any(more) or name not in COMPOSED})
        if unknown:
            known = ", ".join(f"{{{name}}}" for name in COMPOSED)
            raise ValueError(f"compose knows {known}, not {unknown}")
        if any(name == "tags" for name, *_ in parts) and self.tags is None:
            raise ValueError("compose has {tags}, and caption.tags says of no tagger")
        return self


def _with_model(params: dict[str, Any], model: str | None, revision: str | None) -> dict[str, Any]:
    told = {"model": model, "revision": revision}
    return {**params, **{name: value for name, value in told.items() if value is not None}}
