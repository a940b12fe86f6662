"""Environments that hang: a call that takes too long is interrupted, and failing that the process is ended by name.

Three lines of defence, each for what the one before cannot reach:

1. A thread of ours looks at the call under way about once a second. One that is overdue gets `Hung` raised inside it,
   in the main thread, which `guard.py` turns into an EnvironmentFault: an ordinary failed trial.
2. Where that does not end the call within GRACE_S (C code that never comes back, or an environment that swallows the
   exception), the thread calls what `on_hang` was given, so that the state is written, and ends the process.
3. C code that computes without ever letting another Python thread run stops our thread as well. A timer on the
   process's own CPU time, which the thread keeps pushing back, then ends the process by SIGPROF, with the Python
   traceback on stderr. CPU time stands still in a stopped process, so nothing ends because somebody pressed Ctrl-Z.

Seconds are counted by the thread's own looks, so time during which the whole process stood still does not count.
Costs one attribute written before and one after each call.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Protocol
from weakref import WeakSet

from dreamerlab.errors import TrialFailed

GRACE_S = 5.0
"""How long an interrupted call has to come back, in seconds; never more than the limit itself."""
_LOOK_S = 1.0
_INTERRUPT = signal.SIGVTALRM


class Hung(BaseException):
    """Raised inside a call that takes too long; not an Exception, so that environments do not catch it by chance."""


class Watched(Protocol):
    """What makes calls that may hang."""

    limit_s: float | None
    """Longest time for one call, in seconds; None when it is not watched."""

    def hanging(self) -> TrialFailed:
        """Return the error that names the call under way."""
        ...


class Watchdog:
    """Watches the calls made in the main thread; a process has one, `watchdog`."""

    def __init__(self) -> None:
        self.call: tuple[Watched] | None = None
        """The call under way, written by whoever makes it: a new tuple for every call, None after it."""
        self._watched: WeakSet[Watched] = WeakSet()
        self._on_hang: Callable[[TrialFailed], None] | None = None
        self._overdue: tuple[Watched] | None = None
        self._ending = False
        self._thread: threading.Thread | None = None

    def on_hang(self, write_state: Callable[[TrialFailed], None] | None) -> None:
        """Have `write_state(fault)` called, in a thread of its own, just before a process that hangs is ended.

        The main thread does not run again, so it may write what that would have written. The fault has a note that says
        where the call stands, which `traceback.format_exception` shows. None takes it back.
        """
        self._on_hang = write_state

    def watch(self, watched: Watched) -> None:
        """Watch the calls of `watched` for as long as it lives. To be called in the main thread."""
        self._watched.add(watched)
        if threading.current_thread() is threading.main_thread():
            signal.signal(_INTERRUPT, self._interrupted)
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._look, name="environment watchdog", daemon=True)
            self._thread.start()

    def _look(self) -> None:
        faulthandler.register(signal.SIGPROF, file=sys.__stderr__ or 2, all_threads=True, chain=True)
        seen, waited_s = None, 0.0
        while limits := [watched.limit_s for watched in list(self._watched) if watched.limit_s is not None]:
            signal.setitimer(signal.ITIMER_PROF, max(limits) + 2 * GRACE_S)
            pause = min(_LOOK_S, min(limits) / 10)
            time.sleep(pause)
            call = self.call
            if call is None or call is not seen:
                seen, waited_s = call, 0.0
                continue
            waited_s += pause
            limit_s = call[0].limit_s
            if limit_s is not None and waited_s >= limit_s:
                self._interrupt(call, min(limit_s, GRACE_S))
        signal.setitimer(signal.ITIMER_PROF, 0)

    def _interrupt(self, call: tuple[Watched], grace_s: float) -> None:
        """Raise Hung inside `call`; end the process if it goes on all the same."""
        fault, main = call[0].hanging(), threading.main_thread().ident
        assert main is not None
        self._overdue = call
        if signal.getsignal(_INTERRUPT) == self._interrupted:
            signal.pthread_kill(main, _INTERRUPT)
        for _ in range(20):
            time.sleep(grace_s / 20)
            if self.call is not call:
                return
        self._ending = True
        stack = "".join(traceback.format_stack(sys._current_frames()[main]))
        fault.add_note(f"Where it stands (most recent call last):\n{stack}")
        try:
            if self._on_hang is not None:
                self._on_hang(fault)
            print(f"error: {fault}", file=sys.stderr, flush=True)
        finally:
            os._exit(fault.exit_code)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        """Answer the signal, in the main thread: the call may have ended by itself since it was sent."""
        if self._ending:  # it came back while the last words are being written: too late
            threading.Event().wait()
        call = self.call
        if call is not None and call is self._overdue:
            raise Hung(call[0].hanging().message)


watchdog = Watchdog()
"""The watchdog of this process."""
