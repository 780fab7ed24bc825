import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from pipeline import models
from pipeline.errors import RecipeError
from pipeline.training import placeholders


@pytest.fixture(scope="module", params=["sd", "sdxl"])
def base(request, sdxl):
    return "starter" if request.param == "sd" else str(sdxl)


@pytest.fixture
def texts(base):
    return models.load_painter(base, reads=True).texts


@settings(max_examples=50)
@given(known=st.integers(1, 6), new=st.integers(1, 3), ids=st.data())
def test_it_looks_up_as_a_plain_embedding_of_all_rows_would(known, new, ids):
    torch.manual_seed(0)
    table = placeholders.Embedding(nn.Embedding(known, 4), torch.randn(new, 4))
    asked = torch.tensor(ids.draw(st.lists(st.integers(0, known + new - 1), min_size=1, max_size=8)))
    assert torch.equal(table(asked), nn.functional.embedding(asked, table.weight))
    assert torch.equal(table(asked.view(1, -1)), table(asked)[None])


def test_only_the_new_rows_get_gradients():
    table = placeholders.Embedding(nn.Embedding(3, 2), torch.ones(2, 2)).requires_grad_(requires_grad=True)
    table.known.requires_grad_(requires_grad=False)
    table(torch.tensor([0, 4, 4])).sum().backward()
    assert table.vectors.grad.tolist() == [[0.0, 0.0], [2.0, 2.0]]
    assert table.known.weight.grad is None


def test_a_vector_begins_as_the_mean_of_the_words_and_several_as_one_each(texts):
    name, encoder = next(iter(texts.encoders.items()))
    ids = texts.tokenizers[name]("blue square", add_special_tokens=False).input_ids
    rows = encoder.get_input_embeddings().weight.detach()[ids].clone()
    placeholders.add(texts, "<one>", vectors=1, words="blue square")
    assert torch.allclose(placeholders.parameters(texts)[0], rows.mean(dim=0, keepdim=True))
    other = models.load_painter("starter", reads=True).texts
    rows = other.text_encoder.get_input_embeddings().weight.detach()
    ids = other.tokenizers["text_encoder"]("blue square", add_special_tokens=False).input_ids
    placeholders.add(other, "<several>", vectors=len(ids) + 1, words="blue square")
    assert torch.equal(placeholders.parameters(other)[0], rows[[*ids, ids[0]]])


def test_a_text_with_the_word_changes_with_its_vectors_and_no_other_does(texts):
    without = [one.clone() for one in texts(["a red circle on a blue background"]) if one is not None]
    placeholders.add(texts, "<robot>", vectors=2, words="square")
    captions = ["a red circle on a blue background", "a <robot> on a blue background"]
    before = [one.clone() for one in texts(captions) if one is not None]
    for one in placeholders.parameters(texts):
        one.data.normal_()
    after = [one for one in texts(captions) if one is not None]
    for one, two, three in zip(without, before, after, strict=True):
        assert torch.allclose(one[0], two[0], atol=1e-6)
        assert torch.equal(two[0], three[0])
        # what is read at the end of the text (SDXL's summary) hears of the new word, too
        assert not torch.allclose(two[1], three[1], atol=1e-3)


def test_each_vector_of_a_word_has_a_place_in_the_text(texts):
    placeholders.add(texts, "<robot>", vectors=3, words="square")
    for one in placeholders.parameters(texts):
        one.data.normal_()
    whole = texts(["a <robot> here"])[0]
    for vector in range(3):
        for one in placeholders.parameters(texts):
            one.data[vector].normal_()
        changed = texts(["a <robot> here"])[0]
        first = int((changed != whole).any(dim=-1)[0].float().argmax())
        assert first == 2 + vector
        whole = changed


def test_what_was_saved_comes_back_into_encoders_that_do_and_do_not_know_the_word(texts, base, tmp_path):
    placeholders.add(texts, "<robot>", vectors=2, words="square")
    for one in placeholders.parameters(texts):
        one.data.normal_()
    wanted = texts(["a <robot> here"])[0]
    placeholders.save(texts, tmp_path, placeholder="<robot>", header={"gesso_steps": "3"})
    for one in placeholders.parameters(texts):
        one.data.zero_()
    placeholders.load(texts, tmp_path, placeholder="<robot>")
    fresh = models.load_painter(base, reads=True).texts
    placeholders.load(fresh, tmp_path, placeholder="<robot>")
    for one in (texts, fresh):
        assert torch.equal(one(["a <robot> here"])[0], wanted)
    names = {"<robot>"} if base == "starter" else {"clip_l", "clip_g"}
    assert load_file(tmp_path / placeholders.FILE).keys() == names
    with safe_open(tmp_path / placeholders.FILE, "pt") as file:
        assert (file.metadata()["gesso_placeholder"], file.metadata()["gesso_steps"]) == ("<robot>", "3")


def test_a_word_that_is_known_is_refused(texts):
    placeholders.add(texts, "<robot>", vectors=1, words="square")
    with pytest.raises(RecipeError, match=r"train\.placeholder: the tokenizer knows this word already.*<robot>"):
        placeholders.add(texts, "<robot>", vectors=1, words="square")
    with pytest.raises(RecipeError, match=r"train\.initial_words: there is nothing to begin with"):
        placeholders.add(texts, "<other>", vectors=1, words=" ")
