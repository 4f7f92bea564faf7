"""Any problem, its derivatives seen through noise.

Axes: B instances, m coordinates of x, n coordinates of y.
"""

from __future__ import annotations

import torch
from torch import Tensor

from l2o.games import Costs, Iterate, join
from l2o.io import checks
from l2o.norms import norm
from l2o.problems.base import Problem, Theta
from l2o.problems.instances import Instances
from l2o.problems.measures import Measure, Samples

NOISE = "noise"
"""The name of the draw in θ."""


class Noisy(Problem):
    """A problem whose derivatives are seen through Gaussian noise ε on every coordinate.

    field:      G + ε, ε ~ N(0, σ²) for each coordinate;
    resolvent:  computed for the noisy field, (I + α(G + ε))⁻¹z = J(z − αε);
    products:   J w + ‖w‖ε, as an error of the Jacobian would give it: none for w = 0. Were they
                exact, second-order methods would see through the noise.

    ε is drawn once an iteration. Costs and distances stay exact, and so are the instances
    themselves before `at(iteration)`.

    Args:
        problem: The problem.
        deviation: σ ≥ 0.

    Raises:
        UserError: If σ is negative or not finite.
    """

    def __init__(self, problem: Problem, deviation: float) -> None:
        if not isinstance(problem, Problem):
            raise checks.refusal("problem", "a problem", problem)
        super().__init__(problem.m, problem.n, problem.start_x, problem.start_y)
        self.problem = problem
        self.ranges = problem.ranges
        self.deviation = checks.number("noise", deviation, minimum=0)
        self.limit = problem.limit
        self.affine = problem.affine  # type: ignore[misc]
        self.broadcasts = problem.broadcasts  # type: ignore[misc]

    @property
    def numbers(self) -> int:
        return self.problem.numbers

    @property
    def zero_sum(self) -> bool:
        return self.problem.zero_sum

    @property
    def has_solutions(self) -> bool:
        return self.problem.has_solutions

    @property
    def tensors(self) -> tuple[list[int], list[int]]:
        return self.problem.tensors

    @property
    def measures(self) -> tuple[Measure, ...]:
        return self.problem.measures

    @property
    def resolvent_in_closed_form(self) -> bool:
        return self.problem.resolvent_in_closed_form

    def sample_parameters(self, count: int, generator: torch.Generator) -> Theta:
        return self.problem.sample_parameters(count, generator)

    def sample_start(
        self,
        count: int,
        generator: torch.Generator,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> Iterate:
        return self.problem.sample_start(count, generator, dtype=dtype, device=device)

    def samples_of(self, x: Tensor, y: Tensor, theta: Theta) -> Samples | None:
        return self.problem.samples_of(x, y, theta)

    def derived(self, theta: Theta) -> Theta:
        return self.problem.derived(theta)

    def draw(self, count: int, generator: torch.Generator) -> Theta:
        noise = torch.randn(count, self.m + self.n, generator=generator, dtype=torch.float32)
        return {**self.problem.draw(count, generator), NOISE: self.deviation * noise}

    def costs(self, x: Tensor, y: Tensor, theta: Theta) -> Costs:
        return self.problem.costs(x, y, theta)

    def nearest(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        return self.problem.nearest(x, y, theta)

    def field(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        exact, noise = self._parts(x, theta)
        return exact.split(exact.field(join((x, y))) + noise)

    def jvp(
        self, x: Tensor, y: Tensor, u: Tensor, v: Tensor, theta: Theta
    ) -> tuple[Tensor, Tensor]:
        exact, noise = self._parts(x, theta)
        w = join((u, v))
        return exact.split(exact.jvp(join((x, y)), w) + norm(w) * noise)

    def coupling_x(self, x: Tensor, y: Tensor, v: Tensor, theta: Theta) -> Tensor:
        exact, noise = self._parts(x, theta)
        return exact.coupling_x(x, y, v) + norm(v) * exact.split(noise).x

    def coupling_y(self, x: Tensor, y: Tensor, u: Tensor, theta: Theta) -> Tensor:
        exact, noise = self._parts(x, theta)
        return exact.coupling_y(x, y, u) + norm(u) * exact.split(noise).y

    def resolvent(
        self, x: Tensor, y: Tensor, step: float | Tensor, theta: Theta
    ) -> tuple[Tensor, Tensor]:
        exact, noise = self._parts(x, theta)
        z = join((x, y)) - step * noise
        rows = z.flatten(0, -2)
        steps = step.flatten(0, -2) if isinstance(step, Tensor) else step
        solved = exact.repeat(len(rows) // len(exact)).resolvent(rows, steps)
        return exact.split(solved.view_as(z))

    def _parts(self, x: Tensor, theta: Theta) -> tuple[Instances, Tensor]:
        """The exact instances, and the noise of this iteration, (B, d); 0 outside of any."""
        exact = {name: value for name, value in theta.items() if name != NOISE}
        noise = theta.get(NOISE)
        if noise is None:
            noise = x.new_zeros(x.shape[-2], self.m + self.n)
        return Instances(self.problem, exact, len(noise)), noise
