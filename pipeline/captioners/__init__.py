"""The ways to caption; one file each, and its name is the captioner's name in a recipe.

A captioner is a module:

    VERSION: int                    raised when its captions change
    DESCRIPTION: str                one line for `gesso list captioners`
    LOOKS: bool                     whether rows carry `pixels`
    SENTENCES: bool                 whether it writes sentences, which hygiene may clean
    READS: tuple[str, ...]          columns beside the picture that a caption depends on
    Params                          frozen pydantic model; fields that do not affect the caption are excluded
    weights(params) -> str          hash of the model's weights, "" without a model
    provenance(params) -> str       what a reader of the caption should know of its making
    caption(rows, params, *, device) -> list[str]      one caption a row, "" where there is none; deterministic

It may have one function more, which is then called instead:

    propose(rows, params, *, device, say) -> list[list[str]]    several captions a row, best first; none is fine

`say` takes a sentence for people, such as that memory ran out. Where a captioner fails with a picture it gives a
PictureError in the place of its caption, or of its captions.

`pixels` are the picture's canonical pixels: height x width x 3 bytes, RGB.
"""
