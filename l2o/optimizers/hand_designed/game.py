"""A batch of instances seen as one vector field: how hand-designed methods are written down.

Axes: B instances, m / n coordinates, d = m + n joint coordinates.
"""

from __future__ import annotations

import torch
from torch import Tensor

from l2o.problems import Instances, Iterate


def join(iterate: Iterate) -> Tensor:
    """z = (x, y), (B, d)."""
    return torch.cat(iterate, dim=1)


class Game:
    """The field G(z) = (∇ₓf, −∇_y f) of a batch of instances, in joint coordinates z = (x, y).

    Args:
        instances: B instances.
        m: Coordinates of x; the others are those of y.
    """

    def __init__(self, instances: Instances, m: int) -> None:
        self.instances = instances
        self.m = m

    def split(self, z: Tensor) -> Iterate:
        """(x, y), shapes (B, m) and (B, n)."""
        return Iterate(z[:, : self.m], z[:, self.m :])

    def gradient(self, z: Tensor) -> Tensor:
        """∇f = (∇ₓf, ∇_y f), (B, d): ascent in both players."""
        return torch.cat(self.instances.gradients(*self.split(z)), dim=1)

    def field(self, z: Tensor) -> Tensor:
        """G(z) = (∇ₓf, −∇_y f), (B, d): the descent of x and the ascent of y."""
        grad_x, grad_y = self.instances.gradients(*self.split(z))
        return torch.cat((grad_x, -grad_y), dim=1)

    def coupling(self, z: Tensor, w: Tensor) -> Tensor:
        """(∇²xy f · w_y, ∇²yx f · w_x), (B, d)."""
        (x, y), (u, v) = self.split(z), self.split(w)
        products = self.instances.coupling_xy(x, y, v), self.instances.coupling_yx(x, y, u)
        return torch.cat(products, dim=1)

    def hessian(self, z: Tensor, w: Tensor) -> Tensor:
        """∇²f · w, (B, d)."""
        return torch.cat(self.instances.hessian_product(*self.split(z), *self.split(w)), dim=1)

    def resolvent(self, z: Tensor, step: float | Tensor) -> Tensor:
        """(I + αG)⁻¹z, (B, d)."""
        return torch.cat(self.instances.resolvent(*self.split(z), step), dim=1)

    def descent(self, w: Tensor) -> Tensor:
        """w with the sign of y's part turned: from a gradient to a field, and back."""
        return torch.cat((w[:, : self.m], -w[:, self.m :]), dim=1)


def norm(z: Tensor) -> Tensor:
    """‖z‖ of each instance, (B, 1)."""
    length: Tensor = torch.linalg.vector_norm(z, dim=1, keepdim=True)
    return length
