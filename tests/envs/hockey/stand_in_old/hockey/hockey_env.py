"""The interface of upstream's module before December 2024: modes are numbers of the class, reset knows no seed."""


class HockeyEnv:
    NORMAL, TRAIN_SHOOTING, TRAIN_DEFENSE = 0, 1, 2

    def reset(self, one_starting=None, mode=None):
        raise NotImplementedError
