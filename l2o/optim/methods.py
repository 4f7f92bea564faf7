"""The methods that networks are trained with, as optimizers of PyTorch with its names and defaults.

Each is `Minimax` around the method of the same name in `l2o.optimizers`, whose docstring has the
formula; see `Minimax` for groups, roles, and what else a group may have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from l2o import optimizers
from l2o.io import checks
from l2o.optim.groups import Groups
from l2o.optim.minimax import Minimax
from l2o.optimizers import Optimizer
from l2o.optimizers.learned.loading import load

BY_ADAM = {"lr": "step_size", "beta1": "beta1", "beta2": "beta2", "eps": "epsilon"}
Betas = tuple[float, float]


class _ByAdam(Minimax):
    """A scheme around Adam: in a group, `betas` stand for β₁ and β₂."""

    hyperparameters: ClassVar[Mapping[str, str]] = BY_ADAM

    def __init__(self, params: Groups, method: Optimizer[Any], **settings: Any) -> None:
        super().__init__(_apart(params), method, **settings)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        super().add_param_group(_without_betas(param_group))


class Adam(_ByAdam):
    """Adam for both players, at once or alternating: w ← w − lr·m̂/(√v̂ + ε).

    Args:
        params: Groups with roles, see `Minimax`.
        lr: η ≥ 0.
        betas: (β₁, β₂), β₁ in (−1, 1), β₂ in [0, 1).
        eps: ε ≥ 0.
        alternating: Whether the max player moves first, and the min player sees where to.
        critic_steps: Half-steps of the max player in each step, if alternating.
        settings: `role`, `weight_decay`, `max_norm`, `replay`, `buffers`, `average` of `Minimax`.

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
        method = optimizers.Adam(
            lr, *_pair(betas), eps, alternating=alternating, critic_steps=critic_steps
        )
        super().__init__(params, method, **settings)


class SGD(Minimax):
    """Descent with momentum, at once or alternating: v ← μv + (1 − τ)g, w ← w − lr·v.

    Args:
        params: Groups with roles, see `Minimax`.
        lr: η ≥ 0.
        momentum: μ in (−1, 1); negative momentum suits alternating games.
        dampening: τ.
        alternating: Whether the max player moves first, and the min player sees where to.
        critic_steps: Half-steps of the max player in each step, if alternating.
        settings: `role`, `weight_decay`, `max_norm`, `replay`, `buffers`, `average` of `Minimax`.

    Cost: one gradient of each player a step; `critic_steps` of the max player's.

    Source: Polyak (1964); with negative momentum, Gidel et al. (AISTATS 2019).
    """

    hyperparameters: ClassVar[Mapping[str, str]] = {
        "lr": "step_size",
        "momentum": "momentum",
        "dampening": "dampening",
    }

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
        method = optimizers.SGD(
            lr, momentum, dampening, alternating=alternating, critic_steps=critic_steps
        )
        super().__init__(params, method, **settings)


class OptimisticAdam(_ByAdam):
    """z ← z − 2u_t + u_{t−1}, u_t Adam's update; the first step is u.

    Args:
        params: Groups with roles, see `Minimax`.
        lr: η ≥ 0.
        betas: (β₁, β₂).
        eps: ε ≥ 0.
        settings: Of `Minimax`.

    Cost: one gradient of each player a step.

    Source: Daskalakis et al. (ICLR 2018). There u_{−1} = 0, so that the first step is 2u; here it
        is u_0, as in OGDA.
    """

    def __init__(
        self,
        params: Groups,
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        **settings: Any,
    ) -> None:
        super().__init__(params, optimizers.OptimisticAdam(lr, *_pair(betas), eps), **settings)


class ExtraAdam(_ByAdam):
    """z_½ = z − u(G(z)), z ← z − u(G(z_½)), u Adam's update; both advance the moments.

    Args:
        params: Groups with roles, see `Minimax`.
        lr: η ≥ 0.
        betas: (β₁, β₂).
        eps: ε ≥ 0.
        settings: Of `Minimax`.

    Cost: two gradients of each player a step.

    Source: Gidel et al. (ICLR 2019), Algorithm 4.
    """

    def __init__(
        self,
        params: Groups,
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        **settings: Any,
    ) -> None:
        super().__init__(params, optimizers.ExtraAdam(lr, *_pair(betas), eps), **settings)


class PastExtraAdam(_ByAdam):
    """ExtraAdam that extrapolates by the gradient of its last half-point.

    Args:
        params: Groups with roles, see `Minimax`.
        lr: η ≥ 0.
        betas: (β₁, β₂).
        eps: ε ≥ 0.
        settings: Of `Minimax`.

    Cost: one gradient of each player a step.

    Source: Popov (1980); Gidel et al. (ICLR 2019).
    """

    def __init__(
        self,
        params: Groups,
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        **settings: Any,
    ) -> None:
        super().__init__(params, optimizers.PastExtraAdam(lr, *_pair(betas), eps), **settings)


class LEADAdam(_ByAdam):
    """Adam on ∇ₓf + α∇²xy f·Δy and ∇_y g + α∇²yx g·Δx, Δ the last moves.

    Args:
        params: Groups with roles, see `Minimax`.
        lr: η ≥ 0.
        betas: (β₁, β₂).
        eps: ε ≥ 0.
        coupling: α > 0, which a group may set, too.
        alternating: Whether the max player moves first, and the min player sees where to.
        settings: Of `Minimax`.

    Cost: one gradient of each player and one coupling product a step.

    Source: Hemmat et al. (TMLR 2023), Algorithm 1; alternating as in its GAN experiments.
    """

    hyperparameters: ClassVar[Mapping[str, str]] = {**BY_ADAM, "coupling": "coupling"}

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
        method = optimizers.LEADAdam(
            lr, *_pair(betas), eps, coupling=coupling, alternating=alternating
        )
        super().__init__(params, method, **settings)


class SGAAdam(_ByAdam):
    """Adam on G + λAᵀG, A the antisymmetric part of the Jacobian; `betas=(0, β₂)` is RMSprop.

    Args:
        params: Groups with roles, see `Minimax`.
        lr: η ≥ 0.
        betas: (β₁, β₂).
        eps: ε ≥ 0.
        adjustment: λ > 0, which a group may set, too.
        settings: Of `Minimax`.

    Cost: one gradient of each player and one coupling product a step; two products if the game is
        not zero-sum.

    Source: Balduzzi et al. (ICML 2018).
    """

    hyperparameters: ClassVar[Mapping[str, str]] = {**BY_ADAM, "adjustment": "adjustment"}

    def __init__(
        self,
        params: Groups,
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        adjustment: float = 1.0,
        **settings: Any,
    ) -> None:
        method = optimizers.SGAAdam(lr, *_pair(betas), eps, adjustment=adjustment)
        super().__init__(params, method, **settings)


class ConsensusAdam(_ByAdam):
    """Adam on G + γJᵀG, J the Jacobian of the field G; `betas=(0, β₂)` is RMSprop.

    Args:
        params: Groups with roles, see `Minimax`.
        lr: η ≥ 0.
        betas: (β₁, β₂).
        eps: ε ≥ 0.
        adjustment: γ > 0, which a group may set, too.
        settings: Of `Minimax`.

    Cost: one gradient of each player and one product with the Jacobian a step.

    Source: Mescheder et al. (NeurIPS 2017).
    """

    hyperparameters: ClassVar[Mapping[str, str]] = {**BY_ADAM, "adjustment": "adjustment"}

    def __init__(
        self,
        params: Groups,
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        adjustment: float = 0.1,
        **settings: Any,
    ) -> None:
        method = optimizers.ConsensusAdam(lr, *_pair(betas), eps, adjustment=adjustment)
        super().__init__(params, method, **settings)


class ACGD(Minimax):
    """Competitive gradient descent with RMSprop's step sizes, for zero-sum games.

    Args:
        params: Groups with roles, see `Minimax`.
        lr: η ≥ 0.
        beta2: β₂ in [0, 1).
        eps: ε ≥ 0.
        settings: Of `Minimax`.

    Cost: one gradient of each player and up to 12 coupling products a step.

    Source: Schäfer, Zheng and Anandkumar (ICML 2020).
    """

    def __init__(
        self,
        params: Groups,
        lr: float = 1e-3,
        beta2: float = 0.99,
        eps: float = 1e-5,
        **settings: Any,
    ) -> None:
        super().__init__(params, optimizers.ACGD(lr, beta2, eps), **settings)


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


def _pair(betas: object) -> Betas:
    if not isinstance(betas, tuple | list) or len(betas) != 2:
        raise checks.refusal("betas", "a pair (β₁, β₂)", betas)
    return checks.number("betas", betas[0]), checks.number("betas", betas[1])


def _without_betas(group: dict[str, Any]) -> dict[str, Any]:
    """A group whose `betas` are two options."""
    if "betas" not in group:
        return group
    beta1, beta2 = _pair(group["betas"])
    rest = {name: value for name, value in group.items() if name != "betas"}
    return {**rest, "beta1": beta1, "beta2": beta2}


def _apart(params: Groups) -> Groups:
    groups: list[Any] = list(params)
    return [_without_betas(group) if isinstance(group, dict) else group for group in groups]
