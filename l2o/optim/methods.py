"""The methods that networks are trained with, as optimizers of PyTorch with its names and defaults.

Each is `Minimax` around the method of the same name in `l2o.optimizers`; see `Minimax` for groups,
roles, and what else a group may have. In the formulas z = (x, y) are all parameters, whatever their
shapes, raveled; w are those of one player and g is the gradient of its cost; everything but
couplings is elementwise.
"""

from __future__ import annotations

from typing import Any

from l2o import optimizers
from l2o.optim.groups import Groups
from l2o.optim.minimax import Minimax
from l2o.optimizers.learned.loading import load

Betas = tuple[float, float]


class Adam(Minimax):
    """Adam for both players, at once or alternating: w ← w − lr·m̂/(√v̂ + ε).

    Args:
        params: Groups with roles, see `Minimax`.
        lr: η ≥ 0.
        betas: (β₁, β₂), β₁ in (−1, 1), β₂ in [0, 1).
        eps: ε ≥ 0.
        alternating: Whether the max player moves first, and the min player sees where to.
        critic_steps: Half-steps of the max player in each step, if alternating.
        settings: Of `Minimax`: `role`, `weight_decay`, `max_norm`, `constraint`, `replay`,
            `buffers`, `average`, `scaler`.

    Cost: one gradient of each player a step; `critic_steps` of the max player's.

    Source: Kingma and Ba (ICLR 2015).

    Example:
        >>> opt = l2o.optim.Adam(
        ...     [
        ...         {"params": generator.parameters(), "role": "min"},
        ...         {"params": critic.parameters(), "role": "max", "lr": 4e-4},
        ...     ],
        ...     lr=1e-4,
        ...     betas=(0.0, 0.9),
        ...     alternating=True,
        ... )
    """

    def __init__(
        self,
        params: Groups,
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        *,
        alternating: bool = False,
        critic_steps: int = 1,
        **settings: Any,
    ) -> None:
        method = optimizers.Adam(alternating=alternating, critic_steps=critic_steps)
        super().__init__(params, method, lr=lr, betas=betas, eps=eps, **settings)


class SGD(Minimax):
    """Descent with momentum, at once or alternating: v ← μv + (1 − τ)g, w ← w − lr·v.

    Args:
        params: Groups with roles, see `Minimax`.
        lr: η ≥ 0.
        momentum: μ in (−1, 1); negative momentum suits alternating games.
        dampening: τ, any number.
        alternating: Whether the max player moves first, and the min player sees where to.
        critic_steps: Half-steps of the max player in each step, if alternating.
        settings: Of `Minimax`: `role`, `weight_decay`, `max_norm`, `constraint`, `replay`,
            `buffers`, `average`, `scaler`.

    Cost: one gradient of each player a step; `critic_steps` of the max player's.

    Source: Polyak (1964); with negative momentum, Gidel et al. (AISTATS 2019).

    Example:
        >>> opt = l2o.optim.SGD(groups, lr=0.1, momentum=-0.3, alternating=True)
    """

    def __init__(
        self,
        params: Groups,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        *,
        alternating: bool = False,
        critic_steps: int = 1,
        **settings: Any,
    ) -> None:
        method = optimizers.SGD(alternating=alternating, critic_steps=critic_steps)
        super().__init__(params, method, lr=lr, momentum=momentum, dampening=dampening, **settings)


class OptimisticAdam(Minimax):
    """z ← z − 2u_t + u_{t−1}, u_t Adam's update; the first step is u.

    Args:
        params: Groups with roles, see `Minimax`.
        lr: η ≥ 0.
        betas: (β₁, β₂), β₁ in (−1, 1), β₂ in [0, 1).
        eps: ε ≥ 0.
        settings: Of `Minimax`.

    Cost: one gradient of each player a step.

    Source: Daskalakis et al. (ICLR 2018). There u_{−1} = 0, so that the first step is 2u; here it
        is u_0, as in OGDA.

    Example:
        >>> opt = l2o.optim.OptimisticAdam(groups, lr=3e-4, betas=(0.5, 0.9))
    """

    def __init__(
        self,
        params: Groups,
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        **settings: Any,
    ) -> None:
        method = optimizers.OptimisticAdam()
        super().__init__(params, method, lr=lr, betas=betas, eps=eps, **settings)


class ExtraAdam(Minimax):
    """z_½ = z − u(G(z)), z ← z − u(G(z_½)), u Adam's update; both advance the moments.

    Args:
        params: Groups with roles, see `Minimax`.
        lr: η ≥ 0.
        betas: (β₁, β₂), β₁ in (−1, 1), β₂ in [0, 1).
        eps: ε ≥ 0.
        settings: Of `Minimax`.

    Cost: two gradients of each player a step.

    Source: Gidel et al. (ICLR 2019), Algorithm 4.

    Example:
        >>> opt = l2o.optim.ExtraAdam(groups, lr=3e-4, betas=(0.5, 0.9), average=0.999)
        >>> loss = opt.step(lambda: l2o.zero_sum(value(generator, critic)))
    """

    def __init__(
        self,
        params: Groups,
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        **settings: Any,
    ) -> None:
        method = optimizers.ExtraAdam()
        super().__init__(params, method, lr=lr, betas=betas, eps=eps, **settings)


class PastExtraAdam(Minimax):
    """ExtraAdam that extrapolates by the gradient of its last half-point.

    z_½ = z − u(G(z_½ of before)), z ← z − u(G(z_½)), u Adam's update; the first uses G(z₀).

    Args:
        params: Groups with roles, see `Minimax`.
        lr: η ≥ 0.
        betas: (β₁, β₂), β₁ in (−1, 1), β₂ in [0, 1).
        eps: ε ≥ 0.
        settings: Of `Minimax`.

    Cost: one gradient of each player a step.

    Source: Popov (1980); Gidel et al. (ICLR 2019).

    Example:
        >>> opt = l2o.optim.PastExtraAdam(groups, lr=3e-4, betas=(0.5, 0.9))
    """

    def __init__(
        self,
        params: Groups,
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        **settings: Any,
    ) -> None:
        method = optimizers.PastExtraAdam()
        super().__init__(params, method, lr=lr, betas=betas, eps=eps, **settings)


class LEADAdam(Minimax):
    """Adam on ∇ₓf + α∇²xy f·Δy and ∇_y g + α∇²yx g·Δx, Δ the last moves.

    Args:
        params: Groups with roles, see `Minimax`.
        lr: η ≥ 0.
        betas: (β₁, β₂), β₁ in (−1, 1), β₂ in [0, 1).
        eps: ε ≥ 0.
        coupling: α > 0, which a group may set, too.
        alternating: Whether the max player moves first, and the min player sees where to.
        settings: Of `Minimax`.

    Cost: one gradient of each player and one coupling product a step.

    Source: Hemmat et al. (TMLR 2023), Algorithm 1; alternating as in its GAN experiments.

    Example:
        >>> opt = l2o.optim.LEADAdam(groups, lr=3e-4, coupling=0.6, alternating=True)
    """

    def __init__(
        self,
        params: Groups,
        lr: float = 1e-3,
        betas: Betas = (0.5, 0.9),
        eps: float = 1e-8,
        coupling: float = 0.5,
        *,
        alternating: bool = False,
        **settings: Any,
    ) -> None:
        method = optimizers.LEADAdam(alternating=alternating)
        super().__init__(params, method, lr=lr, betas=betas, eps=eps, coupling=coupling, **settings)


class SGAAdam(Minimax):
    """Adam on G + λAᵀG, A the antisymmetric part of the Jacobian; `betas=(0, β₂)` is RMSprop.

    Args:
        params: Groups with roles, see `Minimax`.
        lr: η ≥ 0.
        betas: (β₁, β₂), β₁ in (−1, 1), β₂ in [0, 1).
        eps: ε ≥ 0.
        adjustment: λ > 0, which a group may set, too.
        settings: Of `Minimax`.

    Cost: one gradient of each player and one coupling product a step; two products if the game is
        not zero-sum.

    Source: Balduzzi et al. (ICML 2018).

    Example:
        >>> opt = l2o.optim.SGAAdam(groups, lr=3e-4, betas=(0.0, 0.9), adjustment=1.0)
    """

    def __init__(
        self,
        params: Groups,
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        adjustment: float = 1.0,
        **settings: Any,
    ) -> None:
        method = optimizers.SGAAdam()
        super().__init__(
            params, method, lr=lr, betas=betas, eps=eps, adjustment=adjustment, **settings
        )


class ConsensusAdam(Minimax):
    """Adam on G + γJᵀG, J the Jacobian of the field G; `betas=(0, β₂)` is RMSprop.

    Args:
        params: Groups with roles, see `Minimax`.
        lr: η ≥ 0.
        betas: (β₁, β₂), β₁ in (−1, 1), β₂ in [0, 1).
        eps: ε ≥ 0.
        adjustment: γ > 0, which a group may set, too.
        settings: Of `Minimax`.

    Cost: one gradient of each player and one product with the Jacobian a step.

    Source: Mescheder et al. (NeurIPS 2017).

    Example:
        >>> opt = l2o.optim.ConsensusAdam(groups, lr=3e-4, adjustment=0.1)
    """

    def __init__(
        self,
        params: Groups,
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        adjustment: float = 0.1,
        **settings: Any,
    ) -> None:
        method = optimizers.ConsensusAdam()
        super().__init__(
            params, method, lr=lr, betas=betas, eps=eps, adjustment=adjustment, **settings
        )


class ACGD(Minimax):
    """Competitive gradient descent with RMSprop's step sizes, for zero-sum games.

    x ← x + Δx, y ← y + Δy, each the best answer to the other: Δx = −A_x(∇ₓf + ∇²xy f·Δy),
    Δy = A_y(∇_y f + ∇²yx f·Δx), A = lr/(√v̂ + ε) elementwise, v the squared gradients' mean.

    Args:
        params: Groups with roles, see `Minimax`.
        lr: η ≥ 0.
        beta2: β₂ in [0, 1).
        eps: ε ≥ 0.
        settings: Of `Minimax`.

    Cost: one gradient of each player and up to 12 coupling products a step.

    Source: Schäfer, Zheng and Anandkumar (ICML 2020).

    Example:
        >>> opt = l2o.optim.ACGD(groups, lr=1e-4)
    """

    def __init__(
        self,
        params: Groups,
        lr: float = 1e-3,
        beta2: float = 0.99,
        eps: float = 1e-5,
        **settings: Any,
    ) -> None:
        method = optimizers.ACGD(beta2=beta2, epsilon=eps)
        super().__init__(params, method, lr=lr, **settings)


class Learned(Minimax):
    """A learned optimizer; `lr` is a factor on its steps, 1 by default.

    Args:
        params: Groups with roles, see `Minimax`.
        name: One that comes with the package, or a checkpoint, as of `l2o.load`.
        settings: Of `Minimax`.

    Example:
        >>> opt = l2o.optim.Learned(groups, "structured_twin/universal")
    """

    def __init__(self, params: Groups, name: str, **settings: Any) -> None:
        super().__init__(params, load(name), **settings)
