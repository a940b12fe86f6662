"""How the front page is laid out: commands under headings, in the order they are registered, in plain text.

Typer draws headings only with rich, which costs more time than a listing takes; this is the same in plain text,
with a suggestion when a command is misspelt.
"""

from __future__ import annotations

from typing import Any

import typer.core

from dreamerlab.errors import UsageError, did_you_mean


class Grouped(typer.core.TyperGroup):
    """A command group whose help lists its commands under their `rich_help_panel`."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one section per heading."""
        sections: dict[str, list[tuple[str, str]]] = {}
        names = self.list_commands(ctx)
        limit = formatter.width - 6 - max(len(name) for name in names)
        for name in names:
            command: Any = self.get_command(ctx, name)
            heading = command.rich_help_panel
            heading = heading if isinstance(heading, str) else "Commands"
            sections.setdefault(heading, []).append((name, command.get_short_help_str(limit)))
        for heading, rows in sections.items():
            with formatter.section(heading):
                formatter.write_dl(rows)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command, or say which ones are near."""
        if (
            args
            and self.get_command(ctx, args[0]) is None
            and not args[0].startswith("-")
            and not ctx.resilient_parsing
        ):
            near = did_you_mean(args[0], self.list_commands(ctx))
            raise UsageError(f"no command is called '{args[0]}'{near}", hint=f"{ctx.command_path} --help lists them")
        return super().resolve_command(ctx, args)
