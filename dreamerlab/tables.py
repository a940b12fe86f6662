"""One table, three faces: aligned text for terminals, markdown for the log, HTML for the report.

Owns layout only; the caller formats its cells. No dependency, so that `list` stays fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass
class Table:
    """Rows of text under named columns; columns named in `right` are right-aligned (numbers)."""

    columns: Sequence[str]
    right: frozenset[str] = frozenset()
    rows: list[tuple[str, ...]] = field(default_factory=list[tuple[str, ...]])

    def add(self, *cells: object) -> None:
        """Append one row; a cell of None shows as `-`."""
        assert len(cells) == len(self.columns), f"{len(cells)} cells for {len(self.columns)} columns"
        self.rows.append(tuple("-" if cell is None else str(cell) for cell in cells))

    def to_text(self) -> str:
        """Aligned columns, two spaces apart, header first; readable without colour."""
        lines = [tuple(self.columns), *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        return "\n".join("  ".join(self._pad(c, widths[i], i) for i, c in enumerate(line)).rstrip() for line in lines)

    def to_markdown(self) -> str:
        """A pipe table; pipes and newlines inside cells are escaped."""
        rule = ["---:" if column in self.right else "---" for column in self.columns]
        lines = [list(self.columns), rule, *[[_escape_pipe(c) for c in row] for row in self.rows]]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def to_html(self) -> str:
        """A `<table>` with a header row; every cell is escaped."""
        import html  # only reports need it, and its table of entities is large

        head = "".join(f'<th scope="col">{html.escape(c)}</th>' for c in self.columns)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(c)}</td>" for c in row) + "</tr>" for row in self.rows)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _pad(self, cell: str, width: int, column: int) -> str:
        return cell.rjust(width) if self.columns[column] in self.right else cell.ljust(width)


def _escape_pipe(cell: str) -> str:
    return cell.replace("|", "\\|").replace("\n", " ")
