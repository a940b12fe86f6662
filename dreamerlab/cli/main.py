"""The entry point: one command line in, one exit code out, every failure printed the same way.

Nothing else prints errors. `error: what happened`, an empty line, `hint: what mends it`; a traceback is never shown:
that of our own bugs goes to a file, which is named. The commands are in `app.py`.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dreamerlab.cli import output
from dreamerlab.errors import FindingsReported, LabError, ToolFailed, UsageError, did_you_mean

_COMPLETE_VARIABLE = "_DREAMERLAB_COMPLETE"
_REFUSED_BY_SYSTEM = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code (DESIGN section 3)."""
    from dreamerlab.cli.app import build

    arguments = list(sys.argv[1:] if argv is None else argv)
    output.prepare_streams()
    if _COMPLETE_VARIABLE in os.environ:
        return build().main(arguments, prog_name="dreamerlab", complete_var=_COMPLETE_VARIABLE)
    command = build(arguments)
    return _guarded(lambda: _invoke(command, arguments), arguments)


def _invoke(command: Any, arguments: list[str]) -> int:
    with command.make_context("dreamerlab", arguments) as context:
        command.invoke(context)
    return 0


def _guarded(action: Callable[[], int], arguments: list[str]) -> int:
    """Run `action` and turn whatever it raises into words and an exit code."""
    try:
        code = action()
        sys.stdout.flush()
        return code
    except LabError as error:
        return _report(error)
    except KeyboardInterrupt:
        output.say("\ninterrupted")
        return 130
    except Exception as error:
        if _is_end_of_output(error):
            return 0
        return _from_parser(error, arguments) if _is_from_parser(error) else _unexpected(error, arguments)


def _is_end_of_output(error: Exception) -> bool:
    """Tell whether nobody reads stdout any more: a closed pipe, or a terminal that is gone."""
    if not (isinstance(error, OSError) and error.errno in (errno.EPIPE, errno.EIO) and error.filename is None):
        return False
    # Python would complain once more when it flushes stdout at exit.
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return True


def _report(error: LabError) -> int:
    if isinstance(error, FindingsReported):
        output.say(error.message)  # the findings are printed already, and are no failure of the command
    else:
        output.say_error(error.message, error.hint)
    return error.exit_code


def _is_from_parser(error: Exception) -> bool:
    # By shape, not by class: Typer has moved click inside itself, and its exceptions with it.
    return hasattr(error, "format_message") or (hasattr(error, "exit_code") and not isinstance(error, LabError))


def _from_parser(error: Any, arguments: list[str]) -> int:
    """Print what the command-line parser has to say; `--help` and a plain exit arrive here as well."""
    if not hasattr(error, "format_message"):
        return int(error.exit_code)
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        output.emit(error.message)
        return 0
    message = str(error.format_message()).rstrip(".")
    option = getattr(error, "option_name", None)
    if option is not None and context is not None and type(error).__name__ == "NoSuchOption":
        known = [name for parameter in context.command.params for name in parameter.opts]
        message = f"no option is called '{option}'{did_you_mean(option, known)}"
    # The parser names the choices and keeps the word that is none of them to its message.
    choices = getattr(getattr(getattr(error, "param", None), "type", None), "choices", ())
    if refused := re.search(r": '(.*)' is not one of", message):
        message += did_you_mean(refused[1], map(str, choices))
    message = message[:1].lower() + message[1:]
    # Some of the parser's errors forget which command they are about: it is the first word then.
    first = " ".join(["dreamerlab", *arguments[:1]])
    where = context.command_path if context is not None else first
    return _report(UsageError(message, hint=f"{where} --help"))


def _unexpected(error: Exception, arguments: list[str]) -> int:
    """Report what we did not foresee: the system refusing a file, or a bug of ours."""
    if isinstance(error, OSError) and error.errno in _REFUSED_BY_SYSTEM:
        what = f"'{error.filename}': " if error.filename else ""
        return _report(
            ToolFailed(f"the system refused: {what}{error.strerror}", hint="check permissions and free space")
        )
    saved = _save_traceback(error, arguments)
    line = f"{type(error).__name__}: {error}".splitlines()[0]
    return _report(LabError(f"dreamerlab has a bug: {line}", hint=f"the traceback is in {saved}; please report it"))


def _save_traceback(error: Exception, arguments: list[str]) -> Path | str:
    """Write the traceback into the workspace's cache, or into a temporary file where there is none."""
    import tempfile
    import traceback
    from datetime import UTC, datetime

    text = f"dreamerlab {arguments}\n\n" + "".join(traceback.format_exception(error))
    name = f"bug-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.txt"
    for folder in (_cache_folder(), Path(tempfile.gettempdir())):
        if folder is not None:
            with suppress(OSError):
                folder.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(text)
                return folder / name
    return "no file: none could be written"


def _cache_folder() -> Path | None:
    from dreamerlab.runs.store import Workspace

    try:
        return Workspace.find(Path.cwd()).path / ".dreamerlab" / "bugs"
    except (LabError, OSError):
        return None


if __name__ == "__main__":
    sys.exit(main())
