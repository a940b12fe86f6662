"""The front page: which commands there are, under which headings, in which order.

A command is imported when it is called: building all of them costs as much as a listing. The whole front page is
built for its help, for completion, and for whatever does not begin with the name of a command. What a command works
with is imported inside its function.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
import typer.main

from dreamerlab.cli.grouping import Grouped

EVERY_DAY, FURTHER, GROUPS = "Every day", "Further", "Groups"

_EXIT_CODES = """\
Exit codes: 0 ok, 1 a bug of ours, 2 usage, 3 refused by a rule, 4 not found or in conflict, 5 an outside tool failed,
6 findings, 7 a trial failed, 130 interrupted."""


class Command(NamedTuple):
    """One line of the front page: where the command's function, or its group, is found in `dreamerlab.cli`."""

    name: str
    heading: str
    module: str
    attribute: str
    as_it_comes: bool = False
    """Whether words it does not know are left to it, so that KEY=VALUE gets an answer of its own."""


COMMANDS = (
    Command("init", EVERY_DAY, "starting", "init"),
    Command("propose", EVERY_DAY, "proposing", "propose"),
    Command("check", EVERY_DAY, "checking", "check"),
    Command("run", EVERY_DAY, "running", "run"),
    Command("resume", EVERY_DAY, "running", "resume", as_it_comes=True),
    Command("status", EVERY_DAY, "reading", "status"),
    Command("show", EVERY_DAY, "reading", "show"),
    Command("list", EVERY_DAY, "reading", "list_records"),
    Command("compare", EVERY_DAY, "comparing", "compare"),
    Command("note", EVERY_DAY, "noting", "note"),
    Command("log", EVERY_DAY, "log_commands", "log"),
    Command("lint", EVERY_DAY, "linting", "lint"),
    Command("adopt", FURTHER, "deciding", "adopt"),
    Command("withdraw", FURTHER, "deciding", "withdraw"),
    Command("amend", FURTHER, "deciding", "amend"),
    Command("queue", FURTHER, "queueing", "app"),
    Command("eval", FURTHER, "evaluating", "evaluate"),
    Command("watch", FURTHER, "watching", "watch"),
    Command("diagnose", FURTHER, "diagnosing", "diagnose"),
    Command("reproduce", FURTHER, "reproducing", "reproduce"),
    Command("report", FURTHER, "reporting", "report"),
    Command("export", FURTHER, "reporting", "export"),
    Command("doctor", FURTHER, "upkeep", "doctor"),
    Command("ui", FURTHER, "upkeep", "ui"),
    Command("config", GROUPS, "config_commands", "app"),
    Command("data", GROUPS, "data_commands", "app"),
    Command("hockey", GROUPS, "hockey_commands", "app"),
)


def build(words: Sequence[str] = ()) -> Any:
    """Return the command line as one click command: only the command that `words` begin with, or all of them."""
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
    called = [command for command in COMMANDS if words and command.name == words[0]]
    for command in called or COMMANDS:
        found = getattr(import_module(f"dreamerlab.cli.{command.module}"), command.attribute)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=command.name, cls=Grouped, rich_help_panel=command.heading)
        else:
            settings = {"allow_extra_args": True} if command.as_it_comes else {}
            app.command(command.name, rich_help_panel=command.heading, context_settings=settings)(found)
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
