"""A neural twin to test with."""

import torch

from l2o.optimizers import NeuralTwin


def twin(seed: int = 0, **switches: bool) -> NeuralTwin:
    """In double precision, with weights that all matter."""
    optimizer = NeuralTwin(units=3, seed=seed, **switches).double()
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in optimizer.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=source).double()
    return optimizer
