"""The interface of upstream's module since December 2024: a Mode of its own, and reset(one_starting, mode, seed)."""

from enum import Enum

from dreamerlab.envs.hockey.game import HockeyEnv as OurGame


class Mode(Enum):
    NORMAL = 0
    TRAIN_SHOOTING = 1
    TRAIN_DEFENSE = 2


class HockeyEnv(OurGame):
    def __init__(self, keep_mode=True, mode=Mode.NORMAL, verbose=False):
        assert isinstance(mode, Mode)
        self._their_mode = mode
        super().__init__(keep_mode, mode.value, verbose)
        self.mode = mode

    def reset(self, one_starting=None, mode=None, seed=None, options=None):
        if mode is not None:
            raise TypeError("'Mode' object is not callable")
        theirs = getattr(self, "mode", self._their_mode)
        self.mode = None
        try:
            return super().reset(one_starting, getattr(theirs, "value", theirs), seed)
        finally:
            self.mode = theirs if isinstance(theirs, Mode) else self._their_mode
