"""Seeds as people write them: `3` is how many, `100-102` and `5,7,9` are which.

The seeds of a run are declared before it starts and never change, so what a specification means is decided here,
once, and printed.
"""

from __future__ import annotations

import re

from dreamerlab.errors import UsageError

MOST_SEEDS = 1000
LARGEST_SEED = 2**32 - 1
_HINT = "write how many (--seeds 3 is 0, 1, 2), a range (--seeds 100-102) or a list (--seeds 5,7,9)"
_PART = re.compile(r"(\d+)(?:-(\d+))?")


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds that `text` declares, in its order.

    Raises UsageError for negative, repeated or too many seeds, and for anything that is not a specification.
    """
    spec = text.strip().replace(" ", "")
    if re.fullmatch(r"\d+", spec):
        return tuple(range(_checked_count(int(spec), text)))
    seeds: list[int] = []
    for part in spec.split(","):
        match = _PART.fullmatch(part)
        if match is None:
            negative = re.match(r"-\d", part) is not None
            what = "a seed cannot be negative" if negative else f"'{part}' is not a seed or a range of seeds"
            raise UsageError(f"--seeds '{text}': {what}", hint=_HINT)
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise UsageError(f"--seeds '{text}': the range {part} runs backwards", hint=_HINT)
        if last > LARGEST_SEED:
            raise UsageError(f"--seeds '{text}': {last} is larger than {LARGEST_SEED}", hint=_HINT)
        _checked_count(len(seeds) + last - first + 1, text)
        seeds += range(first, last + 1)
    repeated = sorted({seed for seed in seeds if seeds.count(seed) > 1})
    if repeated:
        raise UsageError(f"--seeds '{text}': seed {repeated[0]} is named more than once", hint=_HINT)
    return tuple(seeds)


def _checked_count(count: int, text: str) -> int:
    if count == 0:
        raise UsageError(f"--seeds '{text}': a run needs at least one seed", hint=_HINT)
    if count > MOST_SEEDS:
        raise UsageError(f"--seeds '{text}': {count} seeds are more than {MOST_SEEDS}", hint=_HINT)
    return count
