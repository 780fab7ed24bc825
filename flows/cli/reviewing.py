"""`gesso review`: captions out to people, and what they decided back in."""

import json
from pathlib import Path

import click

from flows.cli.options import CONTEXT, example, json_option, open_run, run_option, workspace_argument


@click.group(context_settings=CONTEXT)
def review() -> None:
    """Export captions for people; apply what they decided."""


@review.command(epilog=example("gesso review export work/photos --to captions.csv"))
@workspace_argument
@run_option
@click.option("--to", "path", type=click.Path(path_type=Path), help="The CSV file; default: <workspace>/review.csv.")
@click.option("--replace", is_flag=True, help="Replace an export that is there already, and edits in it.")
@json_option
def export(workspace: Path, run_id: str | None, path: Path | None, replace: bool, as_json: bool) -> None:
    """Write captions and thumbnails to review in a spreadsheet."""
    run = open_run(workspace, run_id)

    from flows.reviewing import export

    done = export(run, path or workspace / "review.csv", replace=replace)
    click.echo(json.dumps(done.value()) if as_json else done.words())


@review.command(epilog=example("gesso review apply work/photos captions.csv"))
@workspace_argument
@click.argument("file", type=click.Path(path_type=Path))
@run_option
@click.option("--reviewer", metavar="NAME", help="Who decided; default: your user name.")
@click.option("--dry-run", is_flag=True, help="Check and show what would change; change nothing.")
@click.option("--accept-rest", is_flag=True, help="Accept every caption left blank, recorded as unread.")
@click.option("--force", is_flag=True, help="Take edits of captions that have changed since the export, too.")
@json_option
def apply(
    workspace: Path,
    file: Path,
    run_id: str | None,
    reviewer: str | None,
    dry_run: bool,
    accept_rest: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Check a reviewed CSV and apply all of it, or nothing."""
    run = open_run(workspace, run_id)

    import getpass

    from flows.reviewing import apply

    who = reviewer or getpass.getuser()
    done = apply(run, file, reviewer=who, dry_run=dry_run, accept_rest=accept_rest, force=force)
    click.echo(json.dumps(done.value()) if as_json else done.words())
