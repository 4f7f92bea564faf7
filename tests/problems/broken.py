"""Problems that are wrong, each in one way, with the line that must say so."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from l2o.games import Costs, Iterate
from l2o.problems import Problem, Theta

A = torch.tensor([[1.0, 2.0], [0.5, -1.0], [0.0, 1.5]])

BROKEN: dict[str, tuple[type[Problem], dict[str, Any], str]] = {}


def broken(words: str, **settings: Any) -> Any:
    """Registers a class with the words that must refuse it."""

    def register(cls: type[Problem]) -> type[Problem]:
        BROKEN[cls.__name__] = (cls, settings, words)
        return cls

    return register


class Good(Problem):
    """f = |x|²/2 + Σx Σy/2 − |y|²/2"""

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (x**2).sum(-1) / 2 + x.sum(-1) * y.sum(-1) / 2 - (y**2).sum(-1) / 2


# Derivatives that are silently zero or wrong.


@broken(r"ThroughNumpy.objective: expected a function .* values without a graph")
class ThroughNumpy(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        a, b = x.detach().numpy(), y.detach().numpy()
        return torch.from_numpy(((a - 1) ** 2 - (b - 2) ** 2).sum(-1))


@broken(r"Inference.objective: expected a function .* values without a graph")
class Inference(Good):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        with torch.inference_mode():
            return super().objective(x, y, theta)


@broken(r"Numbers.objective: expected a function .* values without a graph")
class Numbers(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        values = [a * b for a, b in zip(x[:, 0].tolist(), y[:, 0].tolist(), strict=True)]
        return torch.tensor(values, dtype=x.dtype)


@broken(r"OnePath.objective: expected a derivative by x .* of .* by finite differences, got")
class OnePath(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (x * x.detach() * y).sum(-1)


@broken(r"OnePlayer.objective: expected a derivative by y .* of .* finite differences, got 0;")
class OnePlayer(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (x * torch.from_numpy(np.sin(y.detach().numpy()))).sum(-1)


@broken(r"OwnCost.costs: expected a derivative by y .* of .*, got 0")
class OwnCost(Problem):
    def costs(self, x: Tensor, y: Tensor, theta: Theta) -> Costs:
        return Costs((x * y).sum(-1), (x - y.detach() ** 2).sum(-1))


@broken(r"Chosen.objective: expected a derivative by x wherever .* piecewise constant", m=3)
class Chosen(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        weights = torch.tensor([1.0, 2.0, 5.0]).to(x)
        return weights[x.argmax(-1)] * y.sum(-1)


@broken(r"Rounded.objective: expected a derivative by y wherever .* piecewise constant")
class Rounded(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (x**2 - (10 * y).round() ** 2).sum(-1)


class Backward(torch.autograd.Function):
    """sin, with the derivative of another function."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.sin()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        return upstream * ctx.saved_tensors[0].sin()


@broken(r"WrongBackward.objective: expected a derivative by x .* of .* backward pass")
class WrongBackward(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (Backward.apply(x) * y).sum(-1)


@broken(r"Sign.objective: expected a derivative by x in some direction of .* by finite")
class Sign(Problem):
    """A constant, differentiated as if it were x; nothing of single precision in it."""

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return ((x.sign().detach() + x - x.detach()) * y).sum(-1)


@broken(r"Brain.objective: expected to be computed in x's float type, .* rounded to single")
class Brain(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (x.bfloat16() * y.bfloat16()).sum(-1).to(x)


@broken(r"Undefined.objective: expected a derivative by x .* of .*, got nan", start_x=[-0.9, -0.5])
class Undefined(Problem):
    """The branch that is not taken makes the derivative NaN."""

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (torch.where(x > 0, x.sqrt(), x) * y).sum(-1)


@broken(r"Half.objective: expected to be computed in x's float type, .* rounded to single")
class Half(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (x.float() * y.float()).sum(-1).to(x)


# Second derivatives.


class OnceTanh(torch.autograd.Function):
    """tanh, whose derivative cannot be differentiated again, and says so."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.tanh()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        return upstream * (1 - ctx.saved_tensors[0].tanh() ** 2)


@broken(r"Once.objective: products: expected costs that can be differentiated twice")
class Once(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (OnceTanh.apply(x) * y).sum(-1)


@broken(r"OncePart.objective: products: expected costs that can be differentiated twice")
class OncePart(Problem):
    """The other part hides that one is missing."""

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (OnceTanh.apply(x) * y + x * y + x**2 - y**2).sum(-1)


class SilentTanh(torch.autograd.Function):
    """tanh, whose derivative is computed outside of the graph."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.tanh()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> Tensor:
        slope = 1 - np.tanh(ctx.saved_tensors[0].detach().numpy()) ** 2
        return upstream * torch.from_numpy(slope)


@broken(r"Silent.objective: expected second derivatives .* got .* differentiated twice")
class Silent(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (SilentTanh.apply(x) * y).sum(-1)


@broken(r"NotTwice.objective failed on .* differentiated twice;.* products .*Error")
class NotTwice(Problem):
    """PyTorch says itself that it has no second derivative."""

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return torch.cdist(x.unsqueeze(1), 1 + y.unsqueeze(1), p=1.5).flatten()


@broken(r"WrongProduct.jvp: expected second derivatives \(jvp\) of")
class WrongProduct(Good):
    def jvp(
        self, x: Tensor, y: Tensor, u: Tensor, v: Tensor, theta: Theta
    ) -> tuple[Tensor, Tensor]:
        return u + v / 2, v + u / 2


@broken(r"WrongCoupling.coupling_y: expected second derivatives \(coupling_y\) of")
class WrongCoupling(Good):
    """The sign of y's own cost is forgotten."""

    def coupling_y(self, x: Tensor, y: Tensor, u: Tensor, theta: Theta) -> Tensor:
        return u / 2


@broken(r"Ascent.field: expected .* −∇_y f in a zero-sum game")
class Ascent(Good):
    def field(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        return x + y / 2, x / 2 - y


@broken(r"OtherField.field: expected \(∇ₓf, ∇_y g\) = \(.*the derivatives of OtherField.objective")
class OtherField(Good):
    def field(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        return 2 * x + y / 2, y - x / 2


@broken(r"CutField.field: expected a field that passes meta-gradients")
class CutField(Good):
    def field(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        return (x + y / 2).detach(), (y - x / 2).detach()

    def jvp(
        self, x: Tensor, y: Tensor, u: Tensor, v: Tensor, theta: Theta
    ) -> tuple[Tensor, Tensor]:
        return u + v / 2, v - u / 2

    def coupling_x(self, x: Tensor, y: Tensor, v: Tensor, theta: Theta) -> Tensor:
        return v / 2

    def coupling_y(self, x: Tensor, y: Tensor, u: Tensor, theta: Theta) -> Tensor:
        return -u / 2


@broken(r"Total.field: expected partial derivatives, the other player held fixed")
class Total(Good):
    def field(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        x, y = (p if p.requires_grad else p.detach().requires_grad_() for p in (x, y))
        f = self.objective(x, y, theta).sum()
        slope_x, slope_y = torch.autograd.grad(f, (x, y), create_graph=True)
        return slope_x, -slope_y


@broken(r"WrongResolvent.resolvent: expected z′ with z′ \+ αG\(z′\) = z")
class WrongResolvent(Good):
    def resolvent(
        self, x: Tensor, y: Tensor, step: float | Tensor, theta: Theta
    ) -> tuple[Tensor, Tensor]:
        return x / (1 + step), y / (1 + step)


# In-place changes.


@broken(r"InPlace.objective: expected to leave .* got another x afterwards")
class InPlace(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        with torch.no_grad():
            x.clamp_(-0.1, 0.1)
        return (x * y).sum(-1)


@broken(r"InPlaceTheta.objective: expected to leave .* theta\['c'\]", c=[1.0, 2.0])
class InPlaceTheta(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        theta["c"] /= 2
        return (theta["c"] * x * y).sum(-1)


@broken(r"Grown.objective: expected to leave .* theta\['product'\]")
class Grown(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        theta["product"] = x * y
        return theta["product"].sum(-1)


@broken(r"InPlaceNearest.nearest: expected to leave .* got another x")
class InPlaceNearest(Good):
    def nearest(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        return x.zero_(), 0 * y


# Values of the wrong shape or type, and rows that are not apart.


@broken(r"Total0.objective: expected one value per instance, shape \(3,\).*got shape \(\)")
class Total0(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (x * y).sum()


@broken(r"Column.objective: expected one value per instance, shape \(3,\).*got shape \(3, 1\)")
class Column(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return x * y


@broken(r"Nothing.objective: expected one value per instance.*got None")
class Nothing(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Any:
        return None


@broken(r"Spectrum.objective: expected real values, got complex64; return their .real")
class Spectrum(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return torch.fft.fft(x * y).sum(-1)


@broken(r"OneCost.costs: expected a pair, Costs\(f, g\).*got one tensor of shape \(3,\)")
class OneCost(Problem):
    def costs(self, x: Tensor, y: Tensor, theta: Theta) -> Any:
        return (x * y).sum(-1)


@broken(r"Centred.objective: expected of each instance in a batch what it has alone")
class Centred(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return ((x - x.mean(0)) * y).sum(-1)


@broken(r"Square.objective: expected one value per instance|what it has alone", m=3, n=3)
class Square(Problem):
    """Sums over the wrong axis, which three coordinates hide."""

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (x * y).sum(0)


@broken(r"Fragile.objective failed on a batch in which one instance has diverged", m=2, n=2)
class Fragile(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        matrix = x.unsqueeze(1) * x.unsqueeze(2) + torch.eye(2).to(x)
        return torch.linalg.cholesky(matrix).sum((-1, -2)) * y.sum(-1)


@broken(r"Random.objective: expected the same value at the same point.*draw\(self")
class Random(Good):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return super().objective(x + torch.rand_like(x), y, theta)


# Float types, and θ.


@broken(r"Fixed.objective failed on .* in float64: .*constants must have x's float type", m=3, n=2)
class Fixed(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return ((x @ A) * y).sum(-1)


@broken(r"Layers.objective failed on .* in float64: .*of a module module.to\(x\)", m=3, n=3)
class Layers(Problem):
    """A recurrent network says in other words that types are mixed."""

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            layer = torch.nn.RNN(1, 1, batch_first=True, dtype=torch.float32)
        return (layer(x.unsqueeze(-1))[0].squeeze(-1) * y).sum(-1)


@broken(r"FixedDouble.objective failed on .* in float32: .*constants must", m=3, n=2)
class FixedDouble(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return ((x @ A.double()) * y).sum(-1)


@broken(r"Promoted.objective: expected values of x's float type float32, got float64; constants")
class Promoted(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (x * y * torch.ones(1, dtype=torch.float64)).sum(-1)


@broken(r"Shared.sample_parameters: expected A with the batch axis first, \(2, …\)", m=3, n=2)
class Shared(Problem):
    def sample_parameters(self, count: int, generator: torch.Generator) -> Theta:
        return {"A": A}

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return ((x @ theta["A"]) * y).sum(-1)


@broken(r"Plain.sample_parameters: expected c with the batch axis first.*got 2.0")
class Plain(Good):
    def sample_parameters(self, count: int, generator: torch.Generator) -> Any:
        return {"c": 2.0}


@broken(r"Listed.sample_parameters: expected tensors by name, got \[")
class Listed(Good):
    def sample_parameters(self, count: int, generator: torch.Generator) -> Any:
        return [torch.zeros(count, 1)]


@broken(r"Forgetful.sample_parameters: expected the same instances from the same generator")
class Forgetful(Good):
    def sample_parameters(self, count: int, generator: torch.Generator) -> Theta:
        return {"c": torch.rand(count, 1)}


@broken(r"Misspelt.objective failed on .* KeyError: 'missing'")
class Misspelt(Problem):
    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (theta["missing"] * x).sum(-1)


@broken(r"Elsewhere.sample_start: expected a starting point start_y .* got shape \(3, 2\)")
class Elsewhere(Good):
    def sample_start(self, count: int, generator: torch.Generator, **options: Any) -> Iterate:
        return Iterate(torch.zeros(count, 1, **options), torch.zeros(count, 2, **options))


@broken(r"NoPair.sample_start: expected a pair, Iterate\(x, y\); got None")
class NoPair(Good):
    def sample_start(self, count: int, generator: torch.Generator, **options: Any) -> Any:
        return None


@broken(r"StartOfNaN.sample_start: expected finite numbers in start_x, got NaN")
class StartOfNaN(Good):
    def sample_start(self, count: int, generator: torch.Generator, **options: Any) -> Iterate:
        x, y = super().sample_start(count, generator, **options)
        return Iterate(x.log(), y)


@broken(r"Infinite.sample_parameters: expected finite numbers in c, .* is defined nowhere")
class Infinite(Problem):
    """No instance has costs."""

    def sample_parameters(self, count: int, generator: torch.Generator) -> Theta:
        return {"c": torch.zeros(count, 1).reciprocal()}

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (theta["c"] * x * y).sum(-1)


@broken(r"Sparse.sample_parameters: expected c to be dense, got .*; write value.to_dense")
class Sparse(Good):
    def sample_parameters(self, count: int, generator: torch.Generator) -> Theta:
        return {"c": torch.eye(count).to_sparse()}


@broken(r"SharedDraw.draw: expected batch with the batch axis first")
class SharedDraw(Good):
    def draw(self, count: int, generator: torch.Generator) -> Theta:
        return {"batch": torch.randn(8, 2, generator=generator)}


@broken(r"OnlyDrawn without a draw failed .*KeyError: 'noise'; results are measured without")
class OnlyDrawn(Good):
    def draw(self, count: int, generator: torch.Generator) -> Theta:
        return {"noise": torch.randn(count, 1, generator=generator)}

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return super().objective(x + theta["noise"], y, theta)


# What is declared.


@broken(r"Limitless.limit: expected a number above 0, .* got nan")
class Limitless(Good):
    limit = float("nan")


@broken(r"Curved.affine: expected a field that is affine.*declare affine = False")
class Curved(Problem):
    affine = True

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (x.sin() * y).sum(-1)


@broken(r"Alone.objective.*declare broadcasts = False|Alone.objective: expected one value", m=2)
class Alone(Problem):
    broadcasts = True

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (x**2).sum(1) - (y**2).sum(1)


@broken(r"Mixed.objective: expected of several points .* declare broadcasts = False", m=2, n=2)
class Mixed(Problem):
    broadcasts = True

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return (x * y).sum(-1) + (x.flatten()[0] if x.ndim == 3 else 0)


@broken(r"NotZeroSum.zero_sum: expected g = −f, got f = .* and g =")
class NotZeroSum(Problem):
    zero_sum = True  # type: ignore[assignment]

    def costs(self, x: Tensor, y: Tensor, theta: Theta) -> Costs:
        return Costs((x * y).sum(-1), (y**2 - x * y).sum(-1))


# Solutions.


@broken(r"Rows.nearest: expected a part for x like x itself, shape \(2, 3, 1\).*got shape \(2, 1\)")
class Rows(Good):
    def nearest(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        return x.new_zeros(x.shape[0], self.m), y.new_zeros(y.shape[0], self.n)


@broken(r"OnlyX.nearest: expected a pair, one part for each player; got one tensor")
class OnlyX(Good):
    def nearest(self, x: Tensor, y: Tensor, theta: Theta) -> Any:
        return 0 * x


@broken(r"FloatNearest.nearest: expected values of x's float type float64, got float32")
class FloatNearest(Good):
    def nearest(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        return torch.zeros(x.shape, dtype=torch.float32), torch.zeros_like(y)


@broken(r"Raising.nearest failed on .*IndexError")
class Raising(Good):
    def nearest(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        return 0 * x[:, 5], 0 * y


@broken(r"Elsewhere2.nearest: expected a solution, where the field is zero")
class Elsewhere2(Good):
    def nearest(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        return torch.ones_like(x), 0 * y


@broken(r"Farther.nearest: expected the solution nearest to \(x, y\), got one that is farther")
class Farther(Problem):
    """f = y sin(πx) has solutions at all whole x; this knows two of them."""

    def objective(self, x: Tensor, y: Tensor, theta: Theta) -> Tensor:
        return ((torch.pi * x).sin() * y).sum(-1)

    def nearest(self, x: Tensor, y: Tensor, theta: Theta) -> tuple[Tensor, Tensor]:
        return torch.where(x > 0.1, 0.0, 1.0).to(x), 0 * y
