"""Optimizers that propose what a test tells them to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from l2o import Instances, Iterate
from l2o.optimizers import Optimizer, OracleCalls


class Proposes(Optimizer[Tensor]):
    """z = rule(u, k), where u is the iterate in joint coordinates and k = 1, 2, … counts calls.

    Inside a safeguard the first call is in vain, and k is the index of u_k.
    """

    def __init__(self, rule: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.rule = rule

    def init(self, instances: Instances, iterate: Iterate, generator: Any = None) -> Tensor:
        return torch.full((len(instances), 1), 2)

    def step(self, instances: Instances, iterate: Iterate, state: Tensor) -> tuple[Iterate, Tensor]:
        z = self.rule(torch.cat(iterate, dim=1), state)
        m = iterate.x.shape[1]
        return Iterate(z[:, :m], z[:, m:]), state + 1

    def oracle_calls(self, instances: Instances) -> OracleCalls:
        return OracleCalls(0)


NOTHING = Proposes(lambda u, k: u * torch.nan)
"""Every proposal is NaN."""
