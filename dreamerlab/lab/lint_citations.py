"""Citations in people's words (`{R12 eval/return final_mean(5)}`) that the records cannot fill."""

from __future__ import annotations

from collections.abc import Iterator

from dreamerlab.lab.lint_findings import Books, Finding
from dreamerlab.lab.lint_passages import passages
from dreamerlab.lab.log_records import Records
from dreamerlab.report.citations import CitationFault, citations, look_up


def check_citations(books: Books) -> Iterator[Finding]:
    """Yield the citations of notes that stay empty in the log."""
    source = Records(books.workspace)
    for passage in passages(books):
        if passage.lines:
            continue  # a file of its own, which nobody fills
        for citation in citations(passage.text):
            try:
                look_up(citation, source)
            except CitationFault as fault:
                message = f"{citation.text} cannot be filled: {fault}"
                yield Finding("citation", passage.file, passage.line, message, f"correct it: {passage.mend}")
