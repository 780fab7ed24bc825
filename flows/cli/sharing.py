"""Commands that let pictures go: to those who train elsewhere, and out for good."""

import json
from pathlib import Path

import click

from flows.cli.options import example, json_option, open_run, run_option, workspace_argument

FORMATS = ("imagefolder", "kohya", "parquet", "webdataset")
"""Of an export: the files of `pipeline/exports`."""


@click.command(epilog=example("gesso export work/photos --format kohya --to photos-kohya"))
@workspace_argument
@click.option("--format", "format_", type=click.Choice(FORMATS), required=True, help="As `gesso list exports` tells.")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="A new folder; nothing is overwritten.")
@run_option
@json_option
def export(workspace: Path, format_: str, to: Path, run_id: str | None, as_json: bool) -> None:
    """Write what a run prepared for those who train elsewhere.

    Pictures as they came, captions, rights and split, with a dataset card and ATTRIBUTION.md. A recipe that names the
    folder as its source reads it all back.
    """
    run = open_run(workspace, run_id)

    from flows import settings
    from pipeline.steps.export import export as write

    with settings.tools(run.workspace) as tools:
        told = write(run, tools, format_=format_, to=to)
    click.echo(json.dumps(told) if as_json else f"{told['pictures']} pictures as {format_} in {to}")


@click.command(epilog=example("gesso forget work/photos 'Anna Example' --dry-run"))
@workspace_argument
@click.argument("what", metavar="PICTURE|ORIGIN|CREATOR")
@click.option("--dry-run", is_flag=True, help="Say what it would take and what that has reached; change nothing.")
@click.option("--look-alikes", is_flag=True, help="Take what looks like them, too, such as other sizes and qualities.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def forget(workspace: Path, what: str, dry_run: bool, look_alikes: bool, yes: bool, as_json: bool) -> None:
    """Take pictures out of a workspace for good, and keep them out.

    By sample id, by where they came from (also a folder or an archive), or by creator. All that is stored of them goes,
    but for hashes by which they are known if they come again. Training sets, trainings and runs that used them are
    named and marked as revoked. Sources are not changed, and copies elsewhere are yours to recall.
    """
    from flows.show import forgotten
    from pipeline.steps import forget as forgetting
    from pipeline.workspace import Workspace

    opened = Workspace.open(workspace)
    found = forgetting.find(opened, what, look_alikes=look_alikes)
    if dry_run or not yes:
        click.echo(forgotten(forgetting.told(found)), err=as_json)
    if dry_run:
        return
    if not yes:
        click.confirm("Take them out for good?", abort=True, err=as_json)
    with opened.hold(doing=f"gesso forget {workspace}"):
        told = forgetting.forget(opened, forgetting.find(opened, what, look_alikes=look_alikes))
    for path in told["files_left"]:
        click.echo(f"{path} still shows them, and edits of yours may be in it: apply or delete it", err=True)
    click.echo(json.dumps(told) if as_json else f"done, {told['files_changed']} files changed or removed")


COMMANDS = (export, forget)
