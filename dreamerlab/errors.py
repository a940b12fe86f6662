"""Every error a user can meet, and the exit code each one ends in.

    LabError                     exit 1   (base; raised itself only for our own bugs)
    ├── UsageError               exit 2   a command, key or value that cannot be understood
    │   └── ConfigError                   … of a configuration: names the value and its origin
    ├── GateRefused              exit 3   understood, and refused by a rule of the protocol
    ├── NotFound                 exit 4   a run, file or workspace that is not there
    ├── Conflict                 exit 4   … or is there already, or is held by another process
    ├── ToolFailed               exit 5   git, DVC, MLflow, the disk or another outside tool said no
    ├── FindingsReported         exit 6   a check ran and found something
    ├── TrialFailed              exit 7   a training process ended in an error
    └── Interrupted              exit 130 Ctrl-C or a termination signal

An error is one line that says what happened, with the value seen and where it came from, and a `hint` that
names the command or edit that mends it. The command line prints both and never a traceback (DESIGN: errors).
"""

from __future__ import annotations

from collections.abc import Iterable


class LabError(Exception):
    """A failure with a message for people; `hint` says what to do about it."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n\nhint: {self.hint}"


class UsageError(LabError):
    """The request cannot be understood."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration value is unknown, mistyped or out of range."""


class GateRefused(LabError):
    """The request is clear, and a rule of the protocol forbids it."""

    exit_code = 3


class NotFound(LabError):
    """Something named by the user does not exist."""

    exit_code = 4


class Conflict(LabError):
    """Something is already there, or another process holds it."""

    exit_code = 4


class ToolFailed(LabError):
    """A tool or resource outside dreamerlab failed."""

    exit_code = 5


class FindingsReported(LabError):
    """A check ran to its end and has findings; they are already printed."""

    exit_code = 6


class TrialFailed(LabError):
    """A training process ended in an error; the traceback is in its `error.txt`."""

    exit_code = 7


class Interrupted(LabError):
    """Stopped by Ctrl-C or a termination signal, with everything kept."""

    exit_code = 130


def did_you_mean(word: str, vocabulary: Iterable[str], *, count: int = 3) -> str:
    """Return ` (did you mean 'a' or 'b'?)` for the nearest words, or an empty string when none is near.

    A key's last part counts as well as the whole key: `lr_actor` finds `optimizer.lr_actor`.
    """
    from difflib import get_close_matches

    words = sorted(set(vocabulary))
    near = [w for w in words if w.rpartition(".")[2] == word.rpartition(".")[2]]
    near += get_close_matches(word, words, n=count, cutoff=0.6)
    tails = {w.rpartition(".")[2]: w for w in words}
    near += [tails[t] for t in get_close_matches(word.rpartition(".")[2], tails, n=count, cutoff=0.7)]
    best = list(dict.fromkeys(near))[:count]
    return f" (did you mean {' or '.join(repr(w) for w in best)}?)" if best else ""
