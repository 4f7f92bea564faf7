"""What a problem is: a family of games with distributions over θ, the start and the draws.

Axes: B instances, m coordinates of x, n coordinates of y.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from l2o.games import Costs, Iterate
from l2o.io import checks
from l2o.io.errors import UserError
from l2o.io.seeds import single_precision
from l2o.problems.checking import check_family
from l2o.problems.given import check_batch, check_device, check_dtype, check_source
from l2o.problems.instances import Instances
from l2o.problems.measures import Measure, Samples

Theta = dict[str, Tensor]
"""The parameters θ of a batch of instances; every tensor has the batch axis first."""


class Problem:
    """A family min over x of f(x, y; θ), min over y of g(x, y; θ); by default g = −f.

    A subclass needs one method: `objective` for a zero-sum game, or `costs` for a general-sum
    one. Fields and products then come from automatic differentiation; override `field`,
    `coupling_x`, `coupling_y`, `jvp` and `resolvent` where a closed form is faster. Override
    `nearest` where the solution set is known; without it, results are measured by `measures`, or
    by the norm of the field where there are none. Override `draw` where an iteration sees a
    minibatch or noise.

    Args:
        m: Coordinates of x.
        n: Coordinates of y.
        start_x: Range of the uniform distribution of each starting coordinate of x.
        start_y: The same for y.
        parameters: For each scalar parameter of θ, the range of its uniform distribution.

    Raises:
        UserError: If a size is not positive, a range is reversed or not finite, or neither
            `objective` nor `costs` is defined.
    """

    affine: ClassVar[bool] = False
    """Whether the field is affine, as of a quadratic or bilinear f."""
    broadcasts: ClassVar[bool] = False
    """Whether costs and closed forms also take (…, B, m) and (…, B, n), with θ as it is.

    Then θ is not copied for several starting points of an instance.
    """
    limit: float = 1e4
    """An iterate with a coordinate beyond this, or not finite, has diverged.

    Solutions of every testbed lie within a few units of the start; far beyond, the spacing of
    float32 numbers is no longer small against the distances that are measured.
    """

    def __init__(
        self,
        m: int = 1,
        n: int = 1,
        start_x: Sequence[float] = (-0.5, 0.5),
        start_y: Sequence[float] = (-0.5, 0.5),
        **parameters: Sequence[float],
    ) -> None:
        if not (self.overrides("objective") or self.overrides("costs")):
            name = type(self).__name__
            raise UserError(
                f"{name}: expected a method objective(self, x, y, theta), or costs(self, x, y, "
                "theta) for a game that is not zero-sum; define one"
            )
        self.m = checks.count("m", m)
        self.n = checks.count("n", n)
        self.start_x = checks.value_range("start_x", start_x)
        self.start_y = checks.value_range("start_y", start_y)
        self.ranges = {key: checks.value_range(key, value) for key, value in parameters.items()}

    @property
    def numbers(self) -> int:
        """How many numbers an instance and its iterate are, at least."""
        return self.m + self.n

    @property
    def zero_sum(self) -> bool:
        """Whether g = −f."""
        return not self.overrides("costs")

    @property
    def has_solutions(self) -> bool:
        """Whether the problem declares its solution set."""
        return self.overrides("nearest")

    @property
    def tensors(self) -> tuple[list[int], list[int]]:
        """Where x and y are raveled parameters: how many each tensor of theirs has."""
        return [self.m], [self.n]

    @property
    def measures(self) -> tuple[Measure, ...]:
        """What results are measured by where solutions are not known, the most important first."""
        return ()

    @property
    def assessed(self) -> bool:
        """Whether results are measured by the problem's own measures."""
        return bool(self.measures) and not self.has_solutions

    @property
    def resolvent_in_closed_form(self) -> bool:
        """Whether the problem has a closed form of its resolvent."""
        return self.overrides("resolvent")

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        """f(x, y; θ) of each instance.

        Args:
            x: (B, m).
            y: (B, n).
            theta: Parameters; those drawn from ranges have shape (B, 1), so that they
                multiply the coordinates of `x` and `y` as they stand.

        Returns:
            (B,). Value b must depend on row b alone.
        """
        raise NotImplementedError

    def costs(self, x: Tensor, y: Tensor, theta: Theta) -> Costs:
        """What each player minimizes, f and g; arguments as of `objective`, (B,) each."""
        f = self.objective(x, y, theta)
        return Costs(f, -f)

    def field(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor] | None:
        """(∇ₓf, ∇_y g), (B, m) and (B, n), in closed form; None where there is none."""
        return None

    def coupling_x(self, x: Tensor, y: Tensor, v: Tensor, theta: Theta) -> Tensor | None:
        """∇²xy f·v, (B, m), for v of (B, n), in closed form; None where there is none."""
        return None

    def coupling_y(self, x: Tensor, y: Tensor, u: Tensor, theta: Theta) -> Tensor | None:
        """∇²yx g·u, (B, n), for u of (B, m), in closed form; None where there is none."""
        return None

    def jvp(
        self, x: Tensor, y: Tensor, u: Tensor, v: Tensor, theta: Theta
    ) -> tuple[Tensor, Tensor] | None:
        """(∇²xx f·u + ∇²xy f·v, ∇²yx g·u + ∇²yy g·v) in closed form; None where there is none."""
        return None

    def resolvent(
        self, x: Tensor, y: Tensor, step: float | Tensor, theta: Theta
    ) -> tuple[Tensor, Tensor] | None:
        """(I + αG)⁻¹(x, y), (B, m) and (B, n), in closed form; None where there is none.

        Args:
            x: (B, m).
            y: (B, n).
            step: α > 0, a number or (B, 1).
            theta: Parameters, as in `objective`.
        """
        return None

    def nearest(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        """The solution nearest to (x, y).

        Args:
            x: (..., B, m); the leading axes, iterations for instance, are optional.
            y: (..., B, n).
            theta: Parameters, as in `objective`.

        Returns:
            (x*, y*), of the shapes of `x` and `y`.
        """
        raise NotImplementedError

    def samples_of(self, x: Tensor, y: Tensor, theta: Theta) -> Samples | None:
        """Points in the plane that x generates, for pictures, (B, N, 2); None if there are none."""
        return None

    def sample_parameters(self, count: int, generator: torch.Generator) -> Theta:
        """θ of `count` instances: one uniform draw of shape (count, 1) from each range."""
        return {key: uniform(limits, (count, 1), generator) for key, limits in self.ranges.items()}

    def derived(self, theta: Theta) -> Theta:
        """What follows from sampled parameters and closed forms need, in their float type."""
        return {}

    def draw(self, count: int, generator: torch.Generator) -> Theta:
        """What an iteration sees besides θ, a minibatch or noise; it joins θ in the costs.

        Args:
            count: How many instances were sampled together; the batch axis comes first.
            generator: A CPU generator, the only source of randomness.
        """
        return {}

    @property
    def draws(self) -> bool:
        """Whether iterations see draws of their own."""
        return self.overrides("draw")

    def sample(
        self,
        count: int,
        generator: torch.Generator,
        *,
        dtype: torch.dtype | None = None,
        device: torch.device | str = "cpu",
    ) -> Instances:
        """A batch of instances, the same ones in whatever float type and on whatever device.

        Args:
            count: How many, B.
            generator: A CPU generator; the only source of randomness.
            dtype: The float type to compute in; None leaves what was sampled, single precision if
                the problem does not say otherwise.
            device: Where to compute.

        Raises:
            UserError: If the count is not positive, or θ lacks the batch axis.
        """
        check_source(count, generator)
        with single_precision():
            theta = self.sample_parameters(count, generator)
        check_batch(f"{type(self).__name__}.sample_parameters", theta, count)
        seed = int(torch.randint(2**62, (), generator=generator)) if self.draws else None
        instances = Instances(self, {**theta, **self.derived(theta)}, count, seed=seed)
        return (instances if dtype is None else instances.to(check_dtype(dtype))).to(device)

    def sample_start(
        self,
        count: int,
        generator: torch.Generator,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Iterate:
        """Starting points (x₀, y₀) of `count` instances, as `draw_start` draws them."""
        check_source(count, generator)
        device, dtype = check_device(device), check_dtype(dtype)
        return Iterate(*(p.to(device, dtype) for p in self.draw_start(count, generator)))

    def draw_start(self, count: int, generator: torch.Generator) -> Iterate:
        """x₀ of (count, m) and y₀ of (count, n), uniform over the declared ranges."""
        x = uniform(self.start_x, (count, self.m), generator)
        return Iterate(x, uniform(self.start_y, (count, self.n), generator))

    def overrides(self, name: str) -> bool:
        """Whether a method is the problem's own."""
        return getattr(type(self), name) is not getattr(Problem, name)

    @property
    def stated_by(self) -> str:
        """The method that states the costs."""
        return "costs" if self.overrides("costs") else "objective"

    def check(self) -> None:
        """Tries the problem on a few points, in single and double precision, before long work.

        Raises:
            UserError: If a method fails or changes what it is given; returns the wrong shape or
                type, values that depend on the other instances, or derivatives that are not
                those of its costs; or if what the problem declares is not true. Where the costs
                are not defined at any point tried, derivatives are not looked at.
        """
        check_family(self)


def uniform(
    limits: tuple[float, float], shape: tuple[int, ...], generator: torch.Generator
) -> Tensor:
    """Uniform draws from [low, high], in single precision whatever the default float type is."""
    low, high = limits
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float32)


def product(matrix: Tensor, vector: Tensor) -> Tensor:
    """Matrix times vector for each instance: (B, m, n) and (..., B, n) give (..., B, m)."""
    if vector.ndim == 2:
        return (matrix @ vector.unsqueeze(-1)).squeeze(-1)
    return torch.einsum("bij,...bj->...bi", matrix, vector)
