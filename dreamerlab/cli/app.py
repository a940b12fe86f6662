"""The front page: which commands there are, under which headings, in which order.

Importing this must stay cheap: every command module imports what it works with inside its functions.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer
import typer.main

from dreamerlab.cli import (
    checking,
    comparing,
    config_commands,
    data_commands,
    deciding,
    evaluating,
    linting,
    log_commands,
    noting,
    proposing,
    queueing,
    reading,
    running,
    starting,
    upkeep,
)
from dreamerlab.cli.grouping import Grouped

EVERY_DAY, FURTHER, GROUPS = "Every day", "Further", "Groups"

_EXIT_CODES = """\
Exit codes: 0 ok, 1 a bug of ours, 2 usage, 3 refused by a rule, 4 not found or in conflict, 5 an outside tool failed,
6 findings, 7 a trial failed, 130 interrupted."""


def build() -> Any:
    """Return the whole command line as one click command."""
    app = typer.Typer(
        name="dreamerlab",
        cls=Grouped,
        no_args_is_help=True,
        epilog=_EXIT_CODES,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        add_completion=True,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_front_page)
    app.command("init", rich_help_panel=EVERY_DAY)(starting.init)
    app.command("propose", rich_help_panel=EVERY_DAY)(proposing.propose)
    app.command("check", rich_help_panel=EVERY_DAY)(checking.check)
    app.command("run", rich_help_panel=EVERY_DAY)(running.run)
    # What follows the run id is taken as it comes, so that KEY=VALUE gets an answer of its own.
    app.command("resume", rich_help_panel=EVERY_DAY, context_settings={"allow_extra_args": True})(running.resume)
    app.command("status", rich_help_panel=EVERY_DAY)(reading.status)
    app.command("show", rich_help_panel=EVERY_DAY)(reading.show)
    app.command("list", rich_help_panel=EVERY_DAY)(reading.list_records)
    app.command("compare", rich_help_panel=EVERY_DAY)(comparing.compare)
    app.command("note", rich_help_panel=EVERY_DAY)(noting.note)
    app.command("log", rich_help_panel=EVERY_DAY)(log_commands.log)
    app.command("lint", rich_help_panel=EVERY_DAY)(linting.lint)
    app.command("adopt", rich_help_panel=FURTHER)(deciding.adopt)
    app.command("withdraw", rich_help_panel=FURTHER)(deciding.withdraw)
    app.command("amend", rich_help_panel=FURTHER)(deciding.amend)
    app.add_typer(queueing.app, name="queue", cls=Grouped, rich_help_panel=FURTHER)
    app.command("eval", rich_help_panel=FURTHER)(evaluating.evaluate)
    app.command("doctor", rich_help_panel=FURTHER)(upkeep.doctor)
    app.command("ui", rich_help_panel=FURTHER)(upkeep.ui)
    app.add_typer(config_commands.app, name="config", cls=Grouped, rich_help_panel=GROUPS)
    app.add_typer(data_commands.app, name="data", cls=Grouped, rich_help_panel=GROUPS)
    return typer.main.get_command(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        from dreamerlab import __version__
        from dreamerlab.cli.output import emit

        emit(f"dreamerlab {__version__}")
        raise typer.Exit


def _front_page(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """A lab notebook that cannot lie, attached to a DreamerV3 trainer."""
