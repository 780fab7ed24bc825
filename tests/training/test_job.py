from pipeline.training.job import Job


def test_a_job_that_nobody_watches_hears_everything_and_says_nothing(tmp_path, capsys):
    job = Job(tmp_path)
    job.say("going on after step 3")
    job.progress(3, 9, "loss 0.1")
    assert (job.on_checkpoint, dict(job.header)) == (None, {})
    assert capsys.readouterr() == ("", "")
