import io
import json
import subprocess
import sys

import pytest
from safetensors.numpy import load_file
from transformers import BertTokenizer

from pipeline.lavis import worker
from pipeline.model_files import locate

BLIP = locate("starter", part="blip")


def serve(*requests):
    answers = io.StringIO()
    worker.serve(io.StringIO("".join(json.dumps(one) + "\n" for one in requests)), answers)
    return [json.loads(line) for line in answers.getvalue().splitlines()]


def test_what_fails_is_answered_and_the_next_request_too():
    first, second = serve({"id": 7, "do": "caption", "pictures": []}, {"id": 8, "do": "dance"})
    assert first == {"id": 7, "error": "ValueError: cannot caption before a load"}
    assert second["id"] == 8
    assert "cannot dance" in second["error"]


def test_what_libraries_print_never_comes_between_the_answers():
    code = (
        "import os, sys; from pipeline.lavis import worker\n"
        "answers = worker.own_output()\n"
        "print('a print'); os.write(1, b'from C'); os.system('echo a child'); sys.stdout.flush()\n"
        "worker.tell(answers, {'id': 1, 'captions': ['caf\u00e9\\nau lait']})\n"
        "print('after')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    (line,) = done.stdout.splitlines()
    assert json.loads(line) == {"id": 1, "captions": ["caf\u00e9\nau lait"]}
    assert {"a print", "from C", "a child", "after"} <= set(done.stderr.replace("from C", "from C\n").splitlines())


def test_every_tensor_of_the_starter_finds_its_place():
    weights = load_file(BLIP / "model.safetensors")
    new = dict(worker.renamed(weights))
    assert all(name.startswith(("visual_encoder.", "text_decoder.")) for name in new)
    assert not [name for name in new if "layer_norm" in name or "self_attn" in name or "embeddings.class" in name]
    assert len(new) == len(weights) + 2  # the two that transformers ties
    words = weights["text_decoder.bert.embeddings.word_embeddings.weight"]
    assert (new["text_decoder.cls.predictions.decoder.weight"] == words).all()


def test_the_vocabulary_is_the_tokenizers(tmp_path):
    folder = tmp_path / "bert-base-uncased"
    worker.write_vocabulary(BLIP, folder, 64)
    ours, theirs = BertTokenizer.from_pretrained(BLIP), BertTokenizer.from_pretrained(folder)
    text = "a small red circle, on the left of a [DEC] striped background"
    assert theirs(text).input_ids == ours(text).input_ids
    words = (folder / "vocab.txt").read_text().splitlines()
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    worker.write_vocabulary(tmp_path, tmp_path / "again", 64)
    assert (tmp_path / "again" / "vocab.txt").read_text().splitlines() == words


@pytest.mark.parametrize("name", ["processor_config.json", "preprocessor_config.json"])
def test_pictures_are_normalised_as_the_folder_says_or_else_as_lavis_does(tmp_path, name):
    assert worker.normalisation(tmp_path) == {}
    told = {"image_mean": [0.5] * 3, "image_std": [0.25] * 3}
    (tmp_path / name).write_text(json.dumps({"image_processor": told} if name.startswith("processor") else told))
    assert worker.normalisation(tmp_path) == {"mean": [0.5] * 3, "std": [0.25] * 3}
