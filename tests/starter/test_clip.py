import pytest
import torch

from pipeline.starter import clip, scene, wording
from pipeline.starter.tokenizers import clip_tokenizer


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    captions = [wording.caption(scene.scene(seed), seed=seed) for seed in range(500)]
    return clip_tokenizer(captions, tmp_path_factory.mktemp("clip") / "tokenizer")


def test_retrieval_counts_captions_that_find_their_own_picture(words):
    class Planted:
        """Scores the right picture highest for the first seven captions, the next one for all others."""

        def __call__(self, *, pixel_values, input_ids, attention_mask):
            self.logits_per_text = torch.eye(len(pixel_values)).roll(1, dims=1)
            self.logits_per_text[:7] = torch.eye(len(pixel_values))[:7]
            return self

    assert clip.retrieval(Planted(), words, count=10) == pytest.approx(0.7)
