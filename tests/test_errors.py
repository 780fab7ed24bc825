import inspect

import pytest

from pipeline import errors

USER = [one for one in vars(errors).values() if inspect.isclass(one) and issubclass(one, errors.UserError)]


@pytest.mark.parametrize("kind", USER)
def test_a_users_mistake_names_field_value_and_remedy(kind):
    error = kind("this key is unknown", field="train.stepz", value="stepz", remedy="Did you mean 'steps'?")
    assert str(error) == "train.stepz: this key is unknown (got 'stepz'). Did you mean 'steps'?"
    assert (error.exit_code, error.field, error.value) == (
        1 if issubclass(kind, (errors.DiskError, errors.ContaminationError)) else 2,
        "train.stepz",
        "stepz",
    )


def test_what_is_not_known_leaves_no_gap():
    assert str(errors.UserError("nothing is here", remedy="Put something there.")) == (
        "nothing is here. Put something there."
    )
    assert "got ''" in str(errors.UserError("empty", value="", remedy="Fill it."))


def test_the_tree_is_as_it_is_told():
    assert errors.GessoError.exit_code == 1
    assert errors.AwaitingReview.exit_code == 3
    assert not issubclass(errors.PictureError, errors.GessoError)
    for name, value in vars(errors).items():
        if inspect.isclass(value) and issubclass(value, Exception):
            assert name in (errors.__doc__ or "")


def test_a_bad_picture_says_reason_and_detail():
    error = errors.PictureError("truncated", "the file ends early")
    assert (error.reason, error.detail, str(error)) == (
        "truncated",
        "the file ends early",
        "truncated: the file ends early",
    )
