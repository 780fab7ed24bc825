import pytest

from pipeline.errors import InputError
from pipeline.imaging import decode
from pipeline.starter import lessons, pictures, wording

COUNTS = {"seen": 5, "told": 4, "clutter": 3}


def draw(folder, counts=COUNTS):
    said = []
    lessons.draw(folder, counts, say=said.append)
    return said


def test_each_picture_lies_beside_its_caption(tmp_path):
    draw(tmp_path)
    for kind, count in COUNTS.items():
        assert len(list((tmp_path / kind).iterdir())) == 2 * count
        for seed in range(count):
            pixels, caption = lessons.KINDS[kind](seed)
            assert (decode((tmp_path / kind / f"{seed:05d}.png").read_bytes()).pixels == pixels).all()
            assert (tmp_path / kind / f"{seed:05d}.txt").read_text() == caption + "\n"


def test_no_held_out_scene_is_among_them_and_the_plain_captions_are_true():
    for seed in range(200):
        drawn = pictures.picture(1_000_000 + seed, held_out=False)
        assert not drawn.scene.held_out
        assert wording.read(lessons.told(seed)[1]).things == drawn.scene.things
    assert not (lessons.seen(3)[0] == lessons.told(3)[0]).all()


def test_a_fifth_of_the_captions_begin_with_a_made_up_trigger():
    plain = [pictures.picture(seed, held_out=False).caption for seed in range(300)]
    told = [lessons.seen(seed)[1] for seed in range(300)]
    strange = [one for one, body in zip(told, plain, strict=True) if one != body]
    assert 0.1 < len(strange) / 300 < 0.3
    assert all(one.endswith(body) for one, body in zip(told, plain, strict=True))


def test_drawn_again_nothing_is_drawn_and_another_number_is_refused(tmp_path):
    assert len(draw(tmp_path)) == 3
    (tmp_path / "seen" / "00000.txt").write_text("kept")
    assert draw(tmp_path) == []
    assert (tmp_path / "seen" / "00000.txt").read_text() == "kept"
    with pytest.raises(InputError, match="there are 5 pictures, not 6"):
        draw(tmp_path, {**COUNTS, "seen": 6})


def test_a_drawing_that_was_stopped_leaves_no_folder_and_is_drawn_anew(tmp_path, monkeypatch):
    def stopped(seed):
        if seed == 2:
            raise KeyboardInterrupt
        return lessons.seen(seed)

    with monkeypatch.context() as patch:
        patch.setattr(lessons, "KINDS", {**lessons.KINDS, "seen": stopped})
        with pytest.raises(KeyboardInterrupt):
            draw(tmp_path)
    assert not (tmp_path / "seen").exists()
    draw(tmp_path)
    assert decode((tmp_path / "seen" / "00000.png").read_bytes()).pixels.shape == (64, 64, 3)
