"""Which of a model's parameters a training changes."""

from collections.abc import Sequence

from torch import nn

from pipeline.errors import RecipeError


def thaw(model: nn.Module, *, frozen: Sequence[str]) -> None:
    """Let a training change all parameters, as float32, but those whose names begin with one of `frozen`.

    Raises:
        RecipeError: no parameter's name begins so, or none is left to train.
    """
    model.float().requires_grad_(True)  # noqa: FBT003 - torch's own signature
    named = dict(model.named_parameters())
    for beginning in frozen:
        meant = [one for name, one in named.items() if name == beginning or name.startswith(f"{beginning}.")]
        if not meant:
            known = sorted({name.partition(".")[0] for name in named})
            raise RecipeError(
                "the model has no layer with this name",
                field="train.freeze",
                value=beginning,
                remedy=f"Name layers from the model's top, dots between: {', '.join(known)}.",
            )
        for one in meant:
            one.requires_grad_(False)  # noqa: FBT003
    if not any(one.requires_grad for one in named.values()):
        raise RecipeError(
            "nothing is left to train",
            field="train.freeze",
            value=list(frozen),
            remedy="Freeze fewer layers.",
        )
