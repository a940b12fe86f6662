"""Acting through torch.compile, for those who look at stored agents (`eval --compile`, `watch --compile`).

Random numbers are drawn outside of what is compiled, from the same generators: they are those of plain acting. Sums are
rounded otherwise, so that once in a while a draw on the edge may fall on the other side.
"""

from __future__ import annotations

from typing import Any

import torch

from dreamerlab.dreamer.agent import Agent
from dreamerlab.errors import ToolFailed


def compile_acting(agent: Agent) -> None:
    """Let `agent.act` be compiled at its first call, which takes a minute; once for every number of environments.

    ToolFailed at that call where torch cannot compile, for want of a C++ compiler for instance.
    """
    from torch._dynamo.exc import TorchDynamoException

    compiled = torch.compile(agent.act, dynamic=False)

    def act(*args: Any, **kwargs: Any) -> Any:
        try:
            return compiled(*args, **kwargs)
        except TorchDynamoException as error:
            said = " ".join(str(error).split())
            raise ToolFailed(f"torch.compile failed: {said[:300]}", hint="leave out --compile") from error

    vars(agent)["act"] = act
