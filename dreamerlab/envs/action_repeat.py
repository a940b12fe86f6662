"""Each action given to the environment several times in a row: fewer, longer decisions (`env.action_repeat`).

    unit                    counts
    step of the environment what the environment simulates at a time; `env.time_limit` is counted in these
    env step                one decision: up to `action_repeat` steps of the environment; everything else counts these

The wrapper lies between the environment, its time limit included, and the Guard: an episode of 251 steps is 126
decisions of 2, the last of them one step long. What is seen, and rendered, is the state after the last step.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import gymnasium as gym

from dreamerlab.envs.guard import flag_of, number_of_reward

SUMMED = "reward_"
"""Numbers of the info whose key begins so are parts of the reward, and summed like it."""


class ActionRepeat(gym.Wrapper[Any, Any, Any, Any]):
    """Makes one step of `times` steps with the same action: rewards summed, over when the episode is.

    Observation and info are the last step's, except that the info's numbers called `reward_...` are summed. Rewards and
    flags are checked at every step, as the Guard does; observations in between are looked at by nobody.
    """

    def __init__(self, env: gym.Env[Any, Any], times: int) -> None:
        super().__init__(env)
        assert times > 1, times
        self._times = times

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Return the last step's answer with the sum of all rewards; raise Misfit for one that is none."""
        total, left = 0.0, self._times
        parts: dict[str, float] = {}
        while True:
            left -= 1
            # A copy, for an environment may keep or change what it is given.
            obs, reward, terminated, truncated, info = self.env.step(deepcopy(action) if left else action)
            total += number_of_reward(reward)
            for key, value in info.items():
                if isinstance(value, float) and isinstance(key, str) and key.startswith(SUMMED):
                    parts[key] = parts.get(key, 0.0) + value
            if flag_of("terminated", terminated) or flag_of("truncated", truncated) or not left:
                return obs, total, terminated, truncated, {**info, **parts}
