from pipeline.review.vocabulary import MOST, terms


def test_words_and_tags_the_most_used_first():
    found = terms(["red kite, long hair, an it", "red kite, blue sky", "a kite over dunes"])
    assert found[:3] == ["kite", "red", "red kite"]
    assert found.index("kite") < found.index("dunes")
    assert {"long hair", "blue sky", "hair"} <= set(found)
    assert not {"an", "it", "an it over and over"} & set(found)


def test_sentences_are_no_tags_and_numbers_no_words():
    found = terms(["a very long sentence that ends here, and 2041 others"])
    assert "a very long sentence that ends here" not in found
    assert "2041" not in found
    assert "and 2041 others" in found


def test_there_is_a_limit():
    assert len(terms([" ".join(f"word{chr(97 + n % 26)}{'x' * (n // 26)}" for n in range(5000))])) <= MOST
