"""The `gesso` command. Every import that costs time happens inside the command that needs it."""

import gc
import signal
from pathlib import Path
from typing import Any

import click

from flows.cli import about, chain, results, reviewing, sharing, tuning, weights
from flows.cli.options import CONTEXT
from pipeline import disk, stopping
from pipeline.errors import GessoError


class Commands(click.Group):
    """A group whose errors are one message, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 (click's own signature)
        """Run a command and turn gesso's errors into their exit codes."""
        try:
            with stopping.by_signal():
                return super().invoke(ctx)
        except GessoError as error:
            click.echo(f"gesso: {error}", err=True)
            ctx.exit(error.exit_code)
        except OSError as error:
            refused = disk.explained(error, Path.cwd())
            if refused is None:
                raise
            click.echo(f"gesso: {refused}", err=True)
            ctx.exit(refused.exit_code)
        except KeyboardInterrupt as stop:
            click.echo("gesso: stopped; what was done is kept, run the same command again to go on", err=True)
            ctx.exit(128 + getattr(stop, "signal", signal.SIGINT))


@click.group(
    cls=Commands,
    context_settings=CONTEXT,
    epilog="Exit codes: 0 done; 1 failed; 2 bad usage, recipe or input; 3 waiting for review; 130 or 143 stopped.",
)
@click.version_option(package_name="gesso")
def main() -> None:
    """Prepare pictures, fine-tune Stable Diffusion on them, and show what came out."""
    # of many rows, and of imports, looking for circles takes a tenth of the time, and they have none
    gc.set_threshold(100_000)
    from flows.settings import quiet

    quiet()


COMMANDS = (*chain.COMMANDS, tuning.tune, *results.COMMANDS, reviewing.review, weights.weights, *sharing.COMMANDS)
for command in (*COMMANDS, *about.COMMANDS):
    main.add_command(command)

if __name__ == "__main__":  # for launchers, such as torchrun -m
    main()
