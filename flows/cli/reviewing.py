"""`gesso review`: captions out to people, and what they decided back in."""

import json
from pathlib import Path
from typing import Any

import click

from flows.cli.options import CONTEXT, example, json_option, open_run, run_option, workspace_argument

fit_option = click.option(
    "--fit", is_flag=True, help="Measure first how well captions tell of their pictures (caption.clip); worst first."
)
sleeper_option = click.option("--run", "run_id", metavar="RUN", help="A run's id; default: the one that waits.")
reviewer_option = click.option("--reviewer", metavar="NAME", help="Who decided; default: your user name.")


@click.group(context_settings=CONTEXT)
def review() -> None:
    """Export captions for people; apply what they decided."""


@review.command(epilog=example("gesso review export work/photos --to captions.csv"))
@workspace_argument
@run_option
@click.option(
    "--to",
    "path",
    type=click.Path(path_type=Path),
    help="The file: .csv, .tsv, .xlsx with pictures in its cells, or .html, a page that needs no server; default: "
    "<workspace>/review.csv.",
)
@fit_option
@click.option("--replace", is_flag=True, help="Replace an export that is there already, and edits in it.")
@click.option("--flag", "flags", multiple=True, help="Only pictures with this flag, such as 'very short'; repeatable.")
@click.option("--undecided", is_flag=True, help="Only pictures about which nobody has decided.")
@click.option("--search", default="", metavar="TEXT", help="Only pictures with this text in caption or file name.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most the first N, worst first.")
@click.option("--reviewer", default="", metavar="NAME", help="Who is asked: fills the column reviewer.")
@click.option("--assign", metavar="NAMES", help="A file for each reviewer: names parted by commas.")
@click.option(
    "--overlap",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="With --assign: the share of pictures that all of them get, to see how far they agree.",
)
@json_option
def export(
    workspace: Path,
    run_id: str | None,
    path: Path | None,
    fit: bool,
    replace: bool,
    flags: tuple[str, ...],
    undecided: bool,
    search: str,
    limit: int | None,
    reviewer: str,
    assign: str | None,
    overlap: float,
    as_json: bool,
) -> None:
    """Write captions and pictures to review in a spreadsheet, those first that need it most."""
    run = open_run(workspace, run_id)

    from flows.reviewing import export, measure_fit
    from pipeline.review.order import Wanted

    names = [name.strip() for name in (assign or "").split(",") if name.strip()]
    if reviewer and names:
        raise click.UsageError("--reviewer and --assign both say who is asked: give one of them")
    if fit:
        measure_fit(run)
    wanted = Wanted(flags, undecided, search, limit)
    place = path or workspace / "review.csv"
    done = export(run, place, replace=replace, wanted=wanted, reviewer=reviewer, assign=names, overlap=overlap)
    _say(done, as_json)


@review.command(epilog=example("gesso review apply work/photos captions.csv"))
@workspace_argument
@click.argument("file", type=click.Path(path_type=Path))
@run_option
@click.option(
    "--reviewer", metavar="NAME", help="Who decided all of it; default: the file's column reviewer, then you."
)
@click.option("--dry-run", is_flag=True, help="Check and show what would change; change nothing.")
@click.option("--accept-rest", is_flag=True, help="Accept every caption left blank, recorded as unread.")
@click.option("--as-is", is_flag=True, help="Take captions letter by letter, though they look like a program's work.")
@click.option(
    "--conflicts",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Apply the rest, and write what was decided otherwise meanwhile there, to be decided by a person.",
)
@click.option("--force", is_flag=True, help="Put these decisions over those that were made since the export.")
@click.option("--resume", "wake", is_flag=True, help="Then wake the run of `gesso serve` that waits for them.")
@json_option
def apply(
    workspace: Path,
    file: Path,
    run_id: str | None,
    reviewer: str | None,
    dry_run: bool,
    accept_rest: bool,
    as_is: bool,
    conflicts: Path | None,
    force: bool,
    wake: bool,
    as_json: bool,
) -> None:
    """Check a reviewed table, show what it changes, and apply all of it, or nothing."""
    if dry_run and wake:
        raise click.UsageError("--dry-run changes nothing, and --resume goes on: give one of them")
    run = open_run(workspace, run_id)

    from flows.reviewing import apply, look

    tell = (lambda text: None) if as_json else click.echo  # noqa: ARG005 (as click's)
    found = look(run, file, reviewer=reviewer, accept_rest=accept_rest, as_is=as_is, tell=tell)
    if not as_json:
        click.echo(found.words())
    done = apply(found, dry_run=dry_run, force=force, set_aside=conflicts)
    if not wake:
        _say(done, as_json)
        return

    from flows.review_resume import resume as wake_up

    woken = None
    if not as_json:
        click.echo(done.words())  # what was applied is applied, whether the flow wakes or not
    try:
        woken = wake_up(run.workspace, run_id)
        if not as_json:
            click.echo(woken.words())
    finally:
        if as_json:
            click.echo(json.dumps({**done.value(), "flow_run": woken.flow_run if woken else None}))


@review.command(epilog=example("gesso review undo work/photos"))
@workspace_argument
@run_option
@click.option("--batch", metavar="BATCH", help="Which, as apply and the journals name it; default: the last file's.")
@reviewer_option
@json_option
def undo(workspace: Path, run_id: str | None, batch: str | None, reviewer: str | None, as_json: bool) -> None:
    """Take back the file that was applied last; it is kept, and so is what was decided since."""
    run = open_run(workspace, run_id)

    from flows.review_undo import undo

    _say(undo(run, batch=batch, reviewer=reviewer), as_json)


@review.command(epilog=example("gesso review resume work/photos"))
@workspace_argument
@sleeper_option
def resume(workspace: Path, run_id: str | None) -> None:
    """Wake the run of `gesso serve` that waits for people, once enough is decided (exit code 3: it is not)."""
    from flows.review_resume import resume
    from pipeline.workspace import Workspace

    click.echo(resume(Workspace.open(workspace), run_id).words())


@review.command("keep-both", epilog=example("gesso review keep-both work/photos my-photos/dog.jpg my-photos/dog2.jpg"))
@workspace_argument
@click.argument("pictures", metavar="PICTURE PICTURE...", nargs=-1, required=True)
@run_option
@reviewer_option
@json_option
def keep_both(
    workspace: Path, pictures: tuple[str, ...], run_id: str | None, reviewer: str | None, as_json: bool
) -> None:
    """Keep look-alikes beside each other, from the next run on: pictures by path, file name or id."""
    run = open_run(workspace, run_id)

    from flows.review_both import keep_both

    _say(keep_both(run, pictures, reviewer=reviewer), as_json)


@review.command(epilog=example("gesso review status work/photos"))
@workspace_argument
@run_option
@json_option
def status(workspace: Path, run_id: str | None, as_json: bool) -> None:
    """Say what is decided and by whom, what is in conflict, and how far reviewers agree."""
    run = open_run(workspace, run_id)

    from flows.review_status import status

    _say(status(run), as_json)


@review.command(epilog=example("gesso review misfits work/photos --limit 20"))
@workspace_argument
@run_option
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True, metavar="N", help="How many.")
@json_option
def misfits(workspace: Path, run_id: str | None, limit: int, as_json: bool) -> None:
    """List the captions that tell least of their pictures, worst first, by CLIP (caption.clip)."""
    run = open_run(workspace, run_id)

    from flows.review_misfits import misfits

    _say(misfits(run, limit=limit), as_json)


@review.command(epilog=example("gesso review lessons work/photos"))
@workspace_argument
@run_option
@json_option
def lessons(workspace: Path, run_id: str | None, as_json: bool) -> None:
    """Say which captions needed a hand, which words went in and out, and what people write instead."""
    run = open_run(workspace, run_id)

    from flows.review_lessons import learn

    _say(learn(run), as_json)


@review.command(epilog=example("gesso review conflicts work/photos --to conflicts.csv"))
@workspace_argument
@run_option
@click.option("--to", "path", type=click.Path(path_type=Path), required=True, help="The file: .csv, .tsv or .xlsx.")
@json_option
def conflicts(workspace: Path, run_id: str | None, path: Path, as_json: bool) -> None:
    """Write what people decided differently as a review file, for a person to choose."""
    run = open_run(workspace, run_id)

    from flows.reviewing import export_conflicts

    _say(export_conflicts(run, path), as_json)


@review.command(epilog=example("gesso review serve work/photos"))
@workspace_argument
@run_option
@click.option("--reviewer", metavar="NAME", help="Who reviews, unless the page says; default: your user name.")
@fit_option
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="The port; default: one that is free.")
def serve(workspace: Path, run_id: str | None, reviewer: str | None, fit: bool, port: int) -> None:
    """Open a page to review captions in the browser, on this machine alone, until it is stopped (Ctrl-C)."""
    run = open_run(workspace, run_id)

    import getpass

    from flows import review_server
    from flows.review_desk import desk_of, reader_of
    from flows.reviewing import measure_fit
    from pipeline.review import journal

    who = journal.checked(reviewer or getpass.getuser())
    if fit:
        measure_fit(run)
    reader = reader_of(run)
    desk = desk_of(run, reader)
    taken, token = review_server.address(port)
    port = taken.getsockname()[1]
    app = review_server.app(
        desk, run.workspace.read_original, port=port, token=token, reviewer=who, reading=reader.read
    )
    click.echo(f"Open http://127.0.0.1:{port}/?token={token}")
    click.echo("Another reviewer adds &reviewer=NAME. Stop with Ctrl-C; what was decided is kept.")
    review_server.serve(app, taken)


def _say(done: Any, as_json: bool) -> None:  # noqa: ANN401 (anything with value and words)
    click.echo(json.dumps(done.value()) if as_json else done.words())
