"""The configuration: every leaf with its type, default, zone, unit and meaning.

Defaults are the reference algorithm (FACTS A) at the reference's own size for vector observations (`size1m`,
FACTS A11). The docstring under a leaf is its documentation: `config explain KEY` and
`protocol/reference/config.md` print it. The groups are declared in the `schema_*` modules beside this one; how values
from several places become one config is `layers.py`.
"""

from __future__ import annotations

from dreamerlab.config.schema_control import Control
from dreamerlab.config.schema_experience import Collect, Init, Replay, Smooth, Train
from dreamerlab.config.schema_explore import Explore
from dreamerlab.config.schema_family import Mlp, WorldModel
from dreamerlab.config.schema_hockey import Hockey
from dreamerlab.config.schema_learning import Behavior, FreeBits, LossScales, Optimizer, ReturnNorm
from dreamerlab.config.schema_model import Heads, Model, Policy, TwoHot
from dreamerlab.config.schema_process import Checkpoint, Execution, Log
from dreamerlab.config.schema_task import Budget, Env, Eval, Reference
from dreamerlab.config.section import Section


class Config(Section):
    """One resolved configuration: everything that determines a trial but its seed and its code."""

    env: Env = Env()
    hockey: Hockey = Hockey()
    reference: Reference = Reference()
    budget: Budget = Budget()
    world_model: WorldModel = WorldModel()
    model: Model = Model()
    mlp: Mlp = Mlp()
    twohot: TwoHot = TwoHot()
    heads: Heads = Heads()
    policy: Policy = Policy()
    loss_scales: LossScales = LossScales()
    free_bits: FreeBits = FreeBits()
    behavior: Behavior = Behavior()
    explore: Explore = Explore()
    return_norm: ReturnNorm = ReturnNorm()
    optimizer: Optimizer = Optimizer()
    collect: Collect = Collect()
    replay: Replay = Replay()
    smooth: Smooth = Smooth()
    train: Train = Train()
    control: Control = Control()
    init: Init = Init()
    eval: Eval = Eval()
    execution: Execution = Execution()
    log: Log = Log()
    checkpoint: Checkpoint = Checkpoint()
