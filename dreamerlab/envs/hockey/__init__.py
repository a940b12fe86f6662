"""The two-player hockey game: our own, exact to the bit; opponents; and what training and evaluating on it takes.

Import from here what upstream's package has: `HockeyEnv`, `Mode`, `BasicOpponent`, `HockeyEnv_BasicOpponent`.
"""

from dreamerlab.envs.hockey.game import HockeyEnv
from dreamerlab.envs.hockey.rules import Mode

__all__ = ["HockeyEnv", "Mode"]
