import re
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipeline import plugins
from pipeline.errors import InputError, RecipeError
from pipeline.recipe import Recipe, load, parse
from pipeline.settings import Limit

ROOT = Path(__file__).parents[1]
INF = float("inf")
LEAST = {"name": "toys", "sources": [{"path": "photos"}]}


@pytest.fixture
def written(tmp_path):
    """Write a recipe's text, or the least one and some lines more; its path."""

    def written(text="", *, more=""):
        path = tmp_path / "recipe.yaml"
        path.write_text(text or f"name: toys\nsources: [{{path: photos}}]\n{more}\n", encoding="utf-8")
        return path

    return written


def told(**more):
    """The error that a recipe with this in it meets."""
    with pytest.raises(RecipeError) as error:
        parse({**LEAST, **more})
    assert "\n" not in str(error.value)
    return error.value


def test_the_least_recipe_is_a_name_and_a_folder(written):
    made = load(written())
    assert made == parse(LEAST)
    assert made.sources[0].kind == "folder"
    assert made.rights.allow == ()


def test_a_recipe_comes_back_from_its_own_yaml(written):
    more = """
rights: {allow: [CC0-1.0]}
select: {sharpness__score: {min: 0.15}}
review: {require: 0.25}
dedup: {near: null}
train: {mixed_precision: no, steps: 7}
augment: {views: 2, transforms: [{HorizontalFlip: {p: 0.5}}, {ToGray: null}]}
caption: {compose: "ein Bär, {body}", params: {seed: 3}}
"""
    made = load(written(more=more))
    assert load(written(made.yaml())) == made
    assert parse(yaml.safe_load(made.yaml())).digest == made.digest
    assert made.train.mixed_precision == "no"


def test_the_digest_is_of_what_is_asked_and_not_of_how_it_is_written(written):
    plain = load(written())
    assert (
        load(written("sources:\n- path: photos\n  kind: folder\nname: 'toys'\nsplit: {held_out: 0.1}")).digest
        == plain.digest
    )
    assert load(written(more="split: {held_out: 0.2}")).digest != plain.digest


@pytest.mark.parametrize("path", sorted((ROOT / "datasets").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_recipes_that_come_along_are_valid(path):
    made = load(path)
    assert parse(yaml.safe_load(made.yaml())) == made


def fields(schema):
    for owner in (schema, *schema["$defs"].values()):
        for name, field in owner.get("properties", {}).items():
            yield f"{owner['title']}.{name}", field


def test_every_field_is_described_and_no_part_takes_unknown_keys():
    schema = Recipe.model_json_schema()
    found = dict(fields(schema))
    assert len(found) > 60
    assert not [name for name, field in found.items() if len(field.get("description", "")) < 10]
    assert not [one["title"] for one in (schema, *schema["$defs"].values()) if one["additionalProperties"]]


@pytest.mark.parametrize(
    ("more", "field", "value", "remedy"),
    [
        ({"Name": "x"}, "Name", "Name", "Did you mean 'name'?"),
        ({"slect": {}}, "slect", "slect", "Did you mean 'select'?"),
        ({"sources": [{"path": "x", "clas": "dog"}]}, "sources.0.clas", "clas", "Did you mean 'class'?"),
        ({"sources": [{"path": "x", "class_": "dog"}]}, "sources.0.class_", "class_", "Did you mean 'class'?"),
        ({"select": {"sharpness__score": {"mim": 1}}}, "select.sharpness__score.mim", "mim", "Did you mean 'min'?"),
        ({"dedup": {"near": {"distanse": 1}}}, "dedup.near.distanse", "distanse", "Did you mean 'distance'?"),
        ({"train": {"learning_rte": 1}}, "train.learning_rte", "learning_rte", "Did you mean 'learning_rate'?"),
        ({"rights": {"xyz": 1}}, "rights.xyz", "xyz", "Known keys: allow, unknown."),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest(more, field, value, remedy):
    error = told(**more)
    assert (error.field, error.value) == (field, value)
    assert error.remedy.startswith(remedy)


@pytest.mark.parametrize(
    ("more", "field", "value", "remedy"),
    [
        ({"buckets": {"step": "many"}}, "buckets.step", "many", "multiples of this many pixels"),
        ({"split": {"held_out": 0.9}}, "split.held_out", 0.9, "0 to 0.5"),
        ({"sources": [{"path": "x", "repeats": 0}]}, "sources.0.repeats", 0, "how often"),
        ({"sources": [{"path": "x", "kind": 3}]}, "sources.0.kind", 3, "kind of source"),
        ({"sources": []}, "sources", None, "where pictures come from"),
        ({"sources": "photos"}, "sources", "photos", "where pictures come from"),
        ({"review": {"require": "sometimes"}}, "review.require", "sometimes", "none, flagged, all"),
        ({"review": {"require": 1.5}}, "review.require", 1.5, "none, flagged, all"),
        ({"select": {"sharpness__score": 3}}, "select.sharpness__score", 3, "limits by column"),
        ({"select": {"sharpness__score": {"min": float("nan")}}}, "select.sharpness__score.min", None, "lowest value"),
        (
            {"select": {"sharpness__score": {"max": float("inf")}}},
            "select.sharpness__score.max",
            float("inf"),
            "highest",
        ),
        ({"evaluate": {"guidance": float("nan")}}, "evaluate.guidance", None, "guidance scale"),
        ({"caption": {"compose": "{body} {subject}"}}, "caption", None, "where captions come from"),
        ({"name": "a/b"}, "name", "a/b", "name of the dataset"),
        ({"name": ""}, "name", "", "name of the dataset"),
        ({"train": {"steps": -1}}, "train.steps", -1, "Optimizer steps"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_is(more, field, value, remedy):
    error = told(**more)
    assert error.field == field
    if value is not None:
        assert error.value == value
    assert remedy in error.remedy
    assert len(str(error)) < 400


@pytest.mark.parametrize("compose", ["{body", "{body!r}", "{body:>9}", "{}", "{0}", "{body.x}", "{body[0]}", "}"])
def test_a_template_has_only_its_three_names(compose):
    assert told(caption={"compose": compose}).field == "caption"


@pytest.mark.parametrize(
    ("rule", "problem"),
    [({}, "a rule needs min, max or both"), ({"min": 2, "max": 1}, "nothing is between this min and this max")],
)
def test_a_rule_that_decides_nothing_is_refused(rule, problem):
    error = told(select={"sharpness__score": rule})
    assert (error.field, error.problem) == ("select.sharpness__score", problem)


def test_buckets_hold_at_least_one_step():
    assert "less than one step" in told(buckets={"resolution": 32}).problem
    assert told(buckets={"step": 9}).field == "buckets.step"


def test_what_is_missing_is_named():
    with pytest.raises(RecipeError, match=r"^name: this key is missing\. Add `name:`.*1 more problem"):
        parse({})
    assert told(sources=[{"path": "x"}, {}]).field == "sources.1.path"


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=4),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*Recipe.model_fields, "path", "min", "Xy", "0"]), inner, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_nothing_but_a_recipe_error_for_any_data(data):
    for given_data in (data, {**LEAST, "select": data}, {**LEAST, "augment": data}, {**LEAST, "sources": [data]}):
        with suppress(RecipeError):
            assert isinstance(parse(given_data), Recipe)


@pytest.mark.parametrize(
    ("text", "where", "problem"),
    [
        ("name: [toys", "line 1", "no YAML"),
        ("name: toys\n\tsources: []", "line 2", "no YAML"),
        ("name: a\nsources: []\nname: b", "line 3", "the key 'name' comes twice"),
        ("select: {a: {min: 1, min: 2}}", "line 1", "the key 'min' comes twice"),
        ("name: 2024-99-99", "recipe.yaml", "month"),
        ("[" * 3000, "recipe.yaml", "no YAML"),
        ("? [a, b]\n: c", "recipe.yaml", "no YAML"),
        ("!!python/object:os.system {}", "line 1", "no YAML"),
        ("- a\n- b", "recipe.yaml", "a mapping of keys"),
        ("just words", "recipe.yaml", "a mapping of keys"),
        ("\x00", "recipe.yaml", "no YAML"),
    ],
)
def test_a_text_that_is_no_recipe_names_its_line(written, text, where, problem):
    with pytest.raises(RecipeError, match=problem) as error:
        load(written(text))
    assert where in error.value.field
    assert "\n" not in str(error.value)


def test_an_empty_file_is_no_recipe(tmp_path):
    (tmp_path / "empty.yaml").write_text("")
    with pytest.raises(RecipeError, match="Start with `name:`"):
        load(tmp_path / "empty.yaml")


def test_a_file_that_cannot_be_read(tmp_path):
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9")
    for path, reason in (
        (tmp_path / "gone.yaml", "No such file"),
        (tmp_path, "directory"),
        (tmp_path / "latin.yaml", "UTF-8"),
    ):
        with pytest.raises(InputError, match=reason) as error:
            load(path)
        assert (error.value.field, error.value.value) == ("RECIPE", str(path))


def test_a_byte_order_mark_and_words_like_no(written):
    path = written("\ufeffname: no\nsources: [{path: photos, trigger: on, class: 'yes'}]\naugment: {insist: true}")
    made = load(path)
    assert (made.name, made.sources[0].trigger, made.augment.insist) == ("no", "on", True)


def test_settings_change_values_and_make_what_is_not_there(written):
    path = written()
    made = load(
        path,
        [
            "sources.0.path=other",
            "train.steps=20",
            "select.sharpness__score.min=0.5",
            "rights.allow=[CC0-1.0, CC-BY-4.0]",
            "caption.compose=a {class} = {body}",
            "dedup.near=null",
            "train.learning_rate=1e-3",
        ],
    )
    assert made.sources[0].path == Path("other")
    assert made.train.steps == 20
    assert made.train.learning_rate == 1e-3
    assert made.select["sharpness__score"].min == 0.5
    assert made.rights.allow == ("CC0-1.0", "CC-BY-4.0")
    assert made.caption.compose == "a {class} = {body}"
    assert made.dedup.near is None


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("train.steps", "KEY=VALUE"),
        ("=3", "KEY=VALUE"),
        ("train..steps=3", "KEY=VALUE"),
        ("train.steps=[", "KEY=VALUE"),
        (
            "caption.compose={a} b",
            """put text that is no YAML into quotes of its own: --set 'caption.compose="{a} b"'""",
        ),
        ("sources.1.path=x", "no item '1' in sources"),
        ("sources.first.path=x", "no item 'first' in sources"),
        ("sources.².path=x", "no item"),
        ("name.first=x", "name has no keys"),
    ],
)
def test_a_bad_setting_is_an_input_error(written, setting, problem):
    with pytest.raises(InputError, match=re.escape(problem)) as error:
        load(written(), [setting])
    assert (error.value.field, error.value.value) == ("--set", setting)


def test_a_setting_with_a_wrong_value_is_told_like_any(written):
    with pytest.raises(RecipeError, match=r"train\.steps: .*'many'"):
        load(written(), ["train.steps=many"])
    with pytest.raises(RecipeError, match="Did you mean 'steps'"):
        load(written(), ["train.stps=3"])


def test_a_recipe_is_frozen():
    made = parse(LEAST)
    with pytest.raises(ValueError, match="frozen"):
        made.name = "other"


def test_default_limits_hold_where_select_names_no_other():
    select = {"sharpness__score": {"min": 0.6}, "text__coverage": None}
    assert parse({**LEAST, "select": select}).rules == {"sharpness__score": Limit(min=0.6)}
    rules = parse({**LEAST, "select": select, "default_limits": True}).rules
    assert next(iter(rules)) == "sharpness__score"
    assert rules["sharpness__score"] == Limit(min=0.6)
    assert set(plugins.limits()) - set(rules) == {"text__coverage"}
    assert parse({**LEAST, "default_limits": True}).rules["exposure__p5"] == Limit(max=0.95)
    assert "nsfw__score" not in rules
    assert parse({**LEAST, "default_limits": True, "judges": {"nsfw": {}}}).rules["nsfw__score"] == Limit(max=0.5)
