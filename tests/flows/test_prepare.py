from flows.prepare import prepare


def test_pictures_end_up_selected_and_captioned(begun, prefect):
    run = begun()
    state = prepare(str(run.workspace.root), run.id, return_state=True)
    assert state.is_completed()
    assert len(run.rows("captions")) == 6
    assert not run.json("trainset")
