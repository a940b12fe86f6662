"""The replay buffer: the newest rows of every stream, drawn as windows (FACTS A10, F17).

Rows are numbered along their stream from 0 and live in a ring at `number % ring` (`rings.py`), where all rings together
hold `capacity` rows; a window is T rows of one stream with successive numbers, so it can cross the end of the ring but
never its write head. A row is drawable once it is final (`finishing.py`), which it is at once unless rewards are
smoothed or a head looks ahead. What a row means is `episode.py`; where rows lie is `storage.py`; how a large buffer
gets into a checkpoint is `archive.py`; when to draw is `limiter.py` and the training loop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dreamerlab.config.heads import HeadSpec
from dreamerlab.config.schema_experience import Smooth
from dreamerlab.experience.drawing import NONE, UNIFORM, Sample, recent, uniform
from dreamerlab.experience.episode import Step
from dreamerlab.experience.events import Events
from dreamerlab.experience.finishing import Finisher
from dreamerlab.experience.priorities import NEVER, Priorities
from dreamerlab.experience.rewards import Smoother
from dreamerlab.experience.rings import Rings
from dreamerlab.experience.storage import Layout, Rows, row_bytes
from dreamerlab.experience.targets import check_heads, instant_targets
from dreamerlab.spaces import EnvSpec

_FLAGS = ("is_first", "is_last", "is_terminal")


class Replay:
    """Rings of rows with fresh, uniform, prioritised and recent windows, and latent states that training refreshes.

    With `online`, every row is delivered once in fresh, non-overlapping windows of its stream, oldest first and before
    any other draw; what was overwritten before its turn is skipped. Of the rest, `event_share` are windows in which a
    task is over, as long as there are any; `mixture` has the shares of uniform, prioritised and recent windows among
    the others. With `latent_context`, a window comes with the stored latent state and action of
    the row before it; without, the context is always empty (zeros and -1) and latent states are not kept. A row before
    the window that has been evicted, or never was, is an empty context too.
    """

    def __init__(
        self,
        capacity: int,
        spec: EnvSpec,
        *,
        deter: int,
        stoch: int,
        streams: int = 1,
        online: bool = True,
        latent_context: bool = True,
        mixture: tuple[float, float, float] = UNIFORM,
        priority_exponent: float = 0.8,
        event_share: float = 0.0,
        smooth: Smooth | None = None,
        heads: Sequence[HeadSpec] = (),
        max_bytes: int | None = None,
        memory_bytes: int | None = None,
        folder: Path | None = None,
    ) -> None:
        check_heads(heads, spec)
        self._spec, self._streams, self._heads = spec, streams, tuple(heads)
        self._deter, self._stoch = deter, stoch
        self._online, self._latent_context = online, latent_context
        self._mixture, self._exponent = mixture, priority_exponent
        smoother = Smoother(smooth) if smooth is not None and smooth.kernel != "none" else None
        later = smoother is not None or any(head.looks_ahead for head in heads)
        self._finishers = [Finisher(smoother, heads) for _ in range(streams)] if later else None
        self._raw_rewards = smoother is not None
        self._prioritised = mixture[1] > 0
        self.fixed, self.changing = self._columns_of()
        layout = {**self.fixed, **self.changing}
        self.row_bytes = row_bytes(layout)
        """Bytes of one row over all columns."""
        if max_bytes is not None:
            capacity = min(capacity, max_bytes // self.row_bytes)
        self.ring = max(1, capacity // streams)
        """Rows held of each stream."""
        self._obs_columns = [(key, f"obs/{key}") for key in sorted(spec.observations)]
        self._rows = Rows(layout, streams, self.ring, memory_bytes=memory_bytes, folder=folder)
        self._priorities = Priorities(self.ring)
        self._events = Events(streams, event_share) if event_share > 0 else None
        self._rings = Rings(self.ring, streams, final_later=later)
        self._totals, self._finals = self._rings.totals, self._rings.finals
        self._touched: np.ndarray | None = None

    # -- what is held ---------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """Number of rows held, resets included."""
        return self._rings.held

    @property
    def streams(self) -> int:
        """Number of streams."""
        return self._streams

    @property
    def capacity(self) -> int:
        """Rows held at most, over all streams."""
        return self.ring * self._streams

    @property
    def total(self) -> int:
        """Number of rows ever added, over all streams."""
        return sum(self._totals)

    @property
    def mapped(self) -> bool:
        """Tell whether the rows lie in memory-mapped files."""
        return self._rows.mapped

    @property
    def info_keys(self) -> tuple[str, ...]:
        """What of the environment's info the heads predict."""
        return tuple(head.key for head in self._heads if head.source == "info")

    @property
    def wants_info(self) -> bool:
        """Tell whether rows should carry the environment's info."""
        return bool(self.info_keys)

    def span(self, stream: int = 0) -> tuple[int, int]:
        """Return the numbers of the oldest row held of a stream and of the next one to come."""
        return self._rings.span(stream)

    def final(self, stream: int = 0) -> int:
        """Return the number of the first row of a stream that is not final yet."""
        return self._finals[stream]

    def num_windows(self, length: int) -> int:
        """Return how many windows of `length` rows can start somewhere in the final rows held."""
        return sum(stop - first for first, stop in self._rings.starts(length))

    def can_sample(self, batch: int, length: int) -> bool:
        """Tell whether `batch` different windows of `length` rows exist."""
        return self.num_windows(length) >= batch

    # -- adding ---------------------------------------------------------------------------------------------------

    def add(self, step: Step, stream: int = 0) -> None:
        """Append one row to a stream, overwriting its oldest when full. Cheap: a few microseconds.

        Raises OSError when the rows lie in files and the disk is full.
        """
        slot = self._totals[stream] % self.ring
        if slot >= self._rows.room:
            self._rows.make_room(slot + 1)
        columns, place = self._rows.columns, (stream, slot)
        obs = step["obs"]
        for key, name in self._obs_columns:
            columns[name][place] = obs[key]
        columns["action"][place] = step["action"]
        columns["reward"][place] = step["reward"]
        columns["is_first"][place] = step["is_first"]
        columns["is_last"][place] = step["is_last"]
        columns["is_terminal"][place] = step["is_terminal"]
        if self._latent_context:
            columns["deter"][place] = step["deter"]
            columns["stoch"][place] = step["stoch"]
        if self._prioritised:
            columns["priority"][place] = NEVER
        if self._heads:
            for name, value in instant_targets(self._heads, step).items():
                columns[name][place] = value
        if self._events is not None and step["is_terminal"]:
            self._events.add(stream, self._totals[stream], self._rings.span(stream)[0])
        self._totals[stream] += 1
        if self._finishers is not None:
            self._finish(self._finishers[stream], step, stream, place)

    def _finish(self, finisher: Finisher, step: Step, stream: int, place: tuple[int, int]) -> None:
        columns = self._rows.columns
        if self._raw_rewards:
            columns["raw_reward"][place] = step["reward"]
        for count, values in finisher.add(step):
            rows = self._finals[stream] + np.arange(count)
            self._finals[stream] += count
            held = rows >= self.span(stream)[0]
            for name, numbers in values.items():
                columns[name][stream, rows[held] % self.ring] = numbers[held]

    # -- drawing --------------------------------------------------------------------------------------------------

    def sample(self, batch: int, length: int, rng: np.random.Generator) -> Sample:
        """Return B = `batch` windows of T = `length` rows: fresh ones first, the rest by the shares of the mixture."""
        sample = self.windows(*self._draw(batch, length, rng), length)
        if self._events is not None:
            self._events.note(sample.is_terminal)
        return sample

    def windows(self, streams: np.ndarray, starts: np.ndarray, length: int) -> Sample:
        """Return the windows of `length` rows that start at rows `starts` of `streams`; all have to be held."""
        rows = starts[:, None] + np.arange(length)
        place = streams[:, None], rows % self.ring
        columns = self._rows.columns
        # The row after the window is looked at as well, if there is one: its is_first ends this episode.
        after = np.minimum(rows + 1, np.array(self._totals)[streams, None] - 1)
        abandoned = columns["is_first"][place[0], after % self.ring] & (after > rows)
        prev_action, context_deter, context_stoch = self._context(streams, starts)
        return Sample(
            obs={key: columns[name][place] for key, name in self._obs_columns},
            action=columns["action"][place],
            reward=columns["reward"][place],
            is_first=columns["is_first"][place],
            is_last=columns["is_last"][place] | abandoned,
            is_terminal=columns["is_terminal"][place],
            prev_action=prev_action,
            context_deter=context_deter,
            context_stoch=context_stoch,
            targets={head.name: columns[f"target/{head.name}"][place] for head in self._heads},
            streams=streams,
            starts=starts,
            mirrored=np.zeros(len(starts), bool),
        )

    def event_metrics(self) -> dict[str, float]:
        """Return which share of the windows drawn since the last call held an event; nothing without `event_share`."""
        return {} if self._events is None else self._events.metrics()

    def write_back(self, sample: Sample, deter: np.ndarray, stoch: np.ndarray) -> None:
        """Replace the latent states of a sample's rows by fresher ones, deter (B, T, D) and stoch (B, T, S).

        Rows overwritten since the draw are skipped. Where windows of one sample overlap, the last one counts.
        Mirrored windows leave theirs as they are. Without `latent_context` nothing is kept and this does nothing.
        """
        if self._latent_context:
            kept, streams, rows = self._still_held(sample, as_played=True)
            place = streams, rows % self.ring
            self._rows.columns["deter"][place] = deter[kept]
            self._rows.columns["stoch"][place] = stoch[kept]
            self._touch(place)

    def prioritise(self, sample: Sample, rank: np.ndarray) -> None:
        """Rank a sample's rows by what was said of them, (B, T); nothing to do in a mixture without it."""
        if self._prioritised:
            kept, streams, rows = self._still_held(sample)
            place = streams, rows % self.ring
            ranks = np.maximum(rank[kept].astype(np.float64), 0.0) ** self._exponent
            self._rows.columns["priority"][place] = ranks
            self._priorities.rerank(self._rows.columns["priority"], streams, rows)
            self._touch(place)

    def _still_held(self, sample: Sample, *, as_played: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return a mask (B, T) of the sample's rows that are still there, and their streams and numbers."""
        rows = sample.starts[:, None] + np.arange(sample.action.shape[1])
        kept = rows >= self._rings.oldest[sample.streams, None]
        if as_played:
            kept &= ~sample.mirrored[:, None]
        return kept, np.broadcast_to(sample.streams[:, None], rows.shape)[kept], rows[kept]

    def _draw(self, batch: int, length: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        spans = self._rings.starts(length)
        assert any(stop > first for first, stop in spans), (spans, length)
        fresh_streams, fresh_starts = self._rings.take_fresh(batch, length) if self._online else (NONE, NONE)
        rest = batch - len(fresh_starts)
        parts = [(fresh_streams, fresh_starts)]
        if self._events is not None:
            parts.append(self._events.draw(spans, length, rest, rng, self._terminal_rows))
            rest -= len(parts[-1][0])
        draw = uniform if self._mixture == UNIFORM else self._mixed
        parts.append(draw(spans, rest, rng))
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def _terminal_rows(self, stream: int) -> np.ndarray:
        rows = np.arange(*self.span(stream))
        return rows[self._rows.columns["is_terminal"][stream, rows % self.ring]]

    def _mixed(
        self, spans: list[tuple[int, int]], count: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        kinds = np.searchsorted(np.cumsum(self._mixture[:2]), rng.random(count), side="right")
        evenly, ranked, newest = (int((kinds == kind).sum()) for kind in range(3))
        streams, starts = NONE, NONE
        if ranked:
            self._priorities.follow(self._rows.columns["priority"], spans)
            streams, slots = self._priorities.draw(ranked, rng)
            self._touch((streams, slots))
            first = np.array([first for first, _ in spans])[streams]
            starts = first + (slots - first) % self.ring
            evenly += ranked - len(starts)  # where every priority is 0, none says anything
        parts = [(streams, starts), uniform(spans, evenly, rng), recent(spans, newest, rng)]
        return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])

    def _context(self, streams: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (prev_action (B, A), deter (B, D), stoch (B, S)) of the rows before `starts`."""
        batch = len(starts)
        action = self._spec.action
        prev_action = np.full((batch, action.components), action.none, action.dtype)
        deter = np.zeros((batch, self._deter), np.float32)
        stoch = np.full((batch, self._stoch), -1, np.int16)
        if self._latent_context:
            known = starts > self._rings.oldest[streams]
            place = streams[known], (starts[known] - 1) % self.ring
            prev_action[known] = self._rows.columns["action"][place]
            deter[known] = self._rows.columns["deter"][place]
            stoch[known] = self._rows.columns["stoch"][place]
        return prev_action, deter, stoch

    # -- saving ---------------------------------------------------------------------------------------------------

    def counters(self) -> dict[str, Any]:
        """Return the state beside the rows."""
        finishers = None if self._finishers is None else [finisher.state_dict() for finisher in self._finishers]
        events = {} if self._events is None else {"events": self._events.state_dict()}
        return {**self._rings.state_dict(), "finishers": finishers, **events}

    def state_dict(self) -> dict[str, Any]:
        """Return everything later draws depend on: copies of the rows held, stream by stream, and the counters."""
        parts = [self.read(stream, *self.span(stream)) for stream in range(self._streams)]
        rows = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return {**self.counters(), "rows": rows}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore exactly from the state of a buffer of the same size and layout, as `restore` says from another."""
        self.restore(state)
        rows: Mapping[str, np.ndarray] = state["rows"]
        columns = self._rows.columns
        assert rows.keys() ^ columns.keys() <= {"priority"}, (sorted(rows), sorted(columns))
        place = 0
        for stream, total in enumerate(state["totals"]):
            count, stop = min(int(total), int(state["ring"])), self.span(stream)[1]
            held = {name: column[place : place + count] for name, column in rows.items()}
            self.write(stream, np.arange(stop - count, stop), held)
            place += count
        assert all(len(column) == place for column in rows.values()), (place, len(self))

    def restore(self, counters: Mapping[str, Any]) -> list[int]:
        """Take over the counters and make room for the rows, which `write` brings; nothing was added here before.

        Returns which row there is row 0 here, by stream: 0 unless the rings differ in size. The newest rows that fit
        are kept. Where only this buffer ranks rows, all of them count as never trained on.
        """
        dropped = self._rings.load_state_dict(counters)
        if self._finishers is not None:
            for finisher, saved in zip(self._finishers, counters["finishers"], strict=True):
                finisher.load_state_dict(saved)
        if self._events is not None and "events" in counters:
            self._events.load_state_dict(counters["events"])
        self._priorities = Priorities(self.ring)
        self._rows.make_room(min(self.ring, max(self._totals)))
        if self._prioritised:
            self._rows.columns["priority"][:, : self._rows.room] = NEVER
        return dropped

    def read(self, stream: int, first: int, stop: int, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Return copies of rows `first` to `stop` of a stream, of all columns or those named."""
        return self.pick(stream, np.arange(first, stop), names)

    def pick(self, stream: int, rows: np.ndarray, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Return copies of some rows (n,) of a stream, of all columns or those named."""
        slots = rows % self.ring
        return {name: self._rows.columns[name][stream, slots] for name in names or self._rows.columns}

    def write(self, stream: int, rows: np.ndarray, columns: Mapping[str, np.ndarray]) -> None:
        """Put the values of some columns back at rows (n,) of a stream, except at rows that are gone.

        Priorities are left out where rows are not ranked.
        """
        first, stop = self.span(stream)
        held = (rows >= first) & (rows < stop)
        for name, values in columns.items():
            if name == "priority" and not self._prioritised:
                continue
            self._rows.columns[name][stream, rows[held] % self.ring] = values[held]
        self._priorities = Priorities(self.ring)
        if self._events is not None:
            self._events.forget()

    def watch(self, touched: np.ndarray | None) -> None:
        """From now on, mark in `touched` (streams, ring) bool which places of the changing columns were rewritten."""
        self._touched = touched

    def _touch(self, place: tuple[np.ndarray, np.ndarray]) -> None:
        if self._touched is not None:
            self._touched[place] = True

    def _columns_of(self) -> tuple[Layout, Layout]:
        """Return the columns that stay as they are once a row is final, and those that training changes."""
        fixed: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {
            **{f"obs/{key}": (obs.shape, obs.dtype) for key, obs in self._spec.observations.items()},
            "action": ((self._spec.action.components,), self._spec.action.dtype),
            "reward": ((), np.float32),
            **dict.fromkeys(_FLAGS, ((), np.bool_)),
            **{f"target/{head.name}": ((), np.float32) for head in self._heads},
        }
        if self._raw_rewards:
            fixed["raw_reward"] = ((), np.float32)
        changing: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {}
        if self._latent_context:
            changing |= {"deter": ((self._deter,), np.float32), "stoch": ((self._stoch,), np.int16)}
        if self._prioritised:
            changing["priority"] = ((), np.float32)
        return fixed, changing
