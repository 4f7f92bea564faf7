"""Small GANs on mixtures of Gaussians in the plane.

Axes: B tasks, K components, N samples, m / n parameters of the generator / critic.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import torch
from torch import Tensor
from torch.nn.functional import softplus

from l2o.games import Costs, Iterate
from l2o.io import checks
from l2o.io.errors import UserError
from l2o.problems.base import Problem, Theta
from l2o.problems.measures import Measure, Samples
from l2o.problems.neural.mixtures import (
    SHAPES,
    energy_distance,
    good_share,
    modes_covered,
    sample_centres,
)
from l2o.problems.neural.networks import DenseNetworks

MOST_LAYERS, FARTHEST, LARGEST_WEIGHTS = 100, 1e6, 1e3
"""What settings may be at most: beyond, single precision overflows."""
LOSSES = ("non_saturating", "saturating", "wasserstein", "hinge")


class GANMixture(Problem):
    """A generator G, with parameters x, against a critic D, with parameters y.

    With r real, u latent, s softplus, and v anywhere between a real and a generated sample:

    non_saturating: f = E s(−D(G(u))),  g = E s(−D(r)) + E s(D(G(u)));
    saturating:     f = −g,             g as above, so that the game is zero-sum;
    wasserstein:    f = −E D(G(u)),     g = E D(G(u)) − E D(r) + λE(‖∇D(v)‖ − 1)²;
    hinge:          f = −E D(G(u)),     g = E max(0, 1 − D(r)) + E max(0, 1 + D(G(u))).

    θ holds the mixture and the samples that quality is measured on; the minibatch of an iteration
    takes their place. Each instance trains networks of its own.

    Args:
        shapes: What the centres of a task form, one of these at random: `ring`, `grid`, `cloud`,
            `spiral`.
        components: K.
        deviation: σ of every component.
        scale: What centres within the unit circle or [−1, 1]² are multiplied by.
        turned: Whether each task is turned by a random angle.
        loss: One of the four.
        width: Units of a hidden layer.
        depth: Hidden layers of each network.
        latent: Normal numbers u that a sample is generated from.
        batch: Real, and generated, samples of an iteration.
        activation: `relu`, `tanh` or `silu`.
        penalty: λ ≥ 0 of `wasserstein`.
        initial_deviation: Of normal initial weights, with biases 0; None: as PyTorch's layers.
        samples: Samples that quality is measured on.

    Raises:
        UserError: If a setting is not allowed.

    Source: Goodfellow et al. (NeurIPS 2014); gradient penalty, Gulrajani et al. (NeurIPS 2017);
        hinge, Miyato et al. (ICLR 2018).
    """

    def __init__(
        self,
        shapes: Sequence[str] = tuple(SHAPES),
        components: int = 9,
        deviation: float = 0.05,
        scale: float = 1.0,
        turned: bool = True,
        loss: str = "non_saturating",
        width: int = 48,
        depth: int = 2,
        latent: int = 8,
        batch: int = 64,
        activation: str = "relu",
        penalty: float = 10.0,
        initial_deviation: float | None = None,
        samples: int = 512,
    ) -> None:
        self.width, self.depth = checks.count("width", width), checks.count("depth", depth)
        checks.number("depth", depth, maximum=MOST_LAYERS)
        self.latent, self.batch = checks.count("latent", latent), checks.count("batch", batch)
        self._build(activation)
        super().__init__(self.m, self.n)
        named = list(shapes) if isinstance(shapes, tuple) else shapes
        self.shapes = [checks.choice("shapes", s, SHAPES) for s in checks.names("shapes", named)]
        if not self.shapes:
            raise UserError(f"shapes: expected at least one of {', '.join(SHAPES)}, got []")
        self.components = checks.count("components", components)
        self.deviation = checks.positive("deviation", deviation)
        self.scale = checks.positive("scale", scale)
        for name in ("deviation", "scale"):
            checks.number(name, getattr(self, name), maximum=FARTHEST)
        self.turned = checks.flag("turned", turned)
        self.loss = checks.choice("loss", loss, LOSSES)
        self.penalty = checks.number("penalty", penalty, minimum=0)
        if initial_deviation is not None:
            checks.positive("initial_deviation", initial_deviation)
            checks.number("initial_deviation", initial_deviation, maximum=LARGEST_WEIGHTS)
        self.initial_deviation = initial_deviation
        self.samples = checks.count("samples", samples, minimum=2)

    def _build(self, activation: str) -> None:
        """Networks of the present sizes."""
        hidden = [self.width] * self.depth
        self.generator = DenseNetworks([self.latent, *hidden, 2], activation)
        self.critic = DenseNetworks([2, *hidden, 1], activation)
        self.m, self.n = self.generator.parameters, self.critic.parameters

    def check(self) -> None:
        """The same with small, smooth networks: differences would cross the kinks of large ones."""
        small = copy(self)
        small.width, small.latent, small.batch, small.samples = 4, 2, 4, 8
        small._build("tanh")
        super(GANMixture, small).check()

    @property
    def zero_sum(self) -> bool:
        return self.loss == "saturating"

    @property
    def numbers(self) -> int:
        return self.m + self.n + 2 * self.components + self.samples * (self.latent + 4)

    @property
    def tensors(self) -> tuple[list[int], list[int]]:
        return self.generator.parts, self.critic.parts

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Log energy distance to the data; shares of good samples and of modes covered."""
        return (
            Measure("log_energy_distance", self._log_energy, higher=False, worst=torch.inf),
            Measure("good_samples", self._good, higher=True, worst=0.0),
            Measure("modes_covered", self._modes, higher=True, worst=0.0),
        )

    def sample_parameters(self, count: int, generator: torch.Generator) -> Theta:
        centres = sample_centres(self.shapes, count, self.components, self.turned, generator)
        return {
            "centres": self.scale * centres,
            "deviation": torch.full((count, 1), self.deviation),
            **self._samples(count, self.samples, generator),
        }

    def draw_start(self, count: int, generator: torch.Generator) -> Iterate:
        """Initial parameters of both networks, (count, m) and (count, n)."""
        networks = (self.generator, self.critic)
        return Iterate(*(n.sample(count, generator, self.initial_deviation) for n in networks))

    def draw(self, count: int, generator: torch.Generator) -> Theta:
        """A minibatch, in place of the samples that quality is measured on."""
        return self._samples(count, self.batch, generator)

    def _samples(self, count: int, size: int, generator: torch.Generator) -> Theta:
        """What samples are made of, `size` real and generated ones of each of `count` tasks."""

        def normal(numbers: int) -> Tensor:
            return torch.randn(count, size, numbers, generator=generator)

        return {
            "component": torch.randint(self.components, (count, size), generator=generator),
            "noise": normal(2),
            "latent": normal(self.latent),
            "between": torch.rand(count, size, 1, generator=generator),
        }

    def real(self, theta: Theta) -> Tensor:
        """Samples of the mixtures, (B, N, 2)."""
        which = theta["component"].unsqueeze(2).expand(-1, -1, 2)
        return theta["centres"].gather(1, which) + theta["deviation"].unsqueeze(2) * theta["noise"]

    def generated(self, x: Tensor, theta: Theta) -> Tensor:
        """Samples of the generators, (B, N, 2)."""
        return self.generator(x, theta["latent"])

    def samples_of(self, x: Tensor, y: Tensor, theta: Theta) -> Samples:
        return Samples(self.real(theta), self.generated(x, theta))

    def costs(self, x: Tensor, y: Tensor, theta: Theta) -> Costs:
        real, generated = self.real(theta), self.generated(x, theta)
        # Apart, so that no derivative of f passes through the real ones.
        of_real, of_generated = (
            self.critic(y, samples).squeeze(2) for samples in (real, generated)
        )
        if self.loss in ("non_saturating", "saturating"):
            g = softplus(-of_real).mean(1) + softplus(of_generated).mean(1)
            return Costs(-g if self.zero_sum else softplus(-of_generated).mean(1), g)
        f = -of_generated.mean(1)
        if self.loss == "hinge":
            return Costs(f, torch.relu(1 - of_real).mean(1) + torch.relu(1 + of_generated).mean(1))
        between = torch.lerp(real, generated, theta["between"])
        return Costs(f, -f - of_real.mean(1) + self.penalty * self._steepness(y, between))

    def _steepness(self, y: Tensor, points: Tensor) -> Tensor:
        """E(‖∇D‖ − 1)² over points of (B, N, 2), (B,)."""
        recorded = torch.is_grad_enabled()
        with torch.enable_grad():
            node = points if points.requires_grad else points.detach().requires_grad_()
            value = self.critic(y, node).sum()
            (slope,) = torch.autograd.grad(value, node, create_graph=recorded)
        # Next to 0 the length has no second derivative.
        length = (slope.square().sum(2) + 1e-12).sqrt()
        return (length - 1).square().mean(1)

    def _log_energy(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        # Rounding may leave a little less than 0.
        energy = energy_distance(self.generated(x, theta), self.real(theta))
        return energy.clamp(min=torch.finfo(energy.dtype).eps).log()

    def _good(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return good_share(self.generated(x, theta), theta["centres"], theta["deviation"])

    def _modes(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return modes_covered(self.generated(x, theta), theta["centres"], theta["deviation"])
