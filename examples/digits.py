"""Real data for the examples: scikit-learn's 1797 digits of 8×8 pixels, within [0, 1]."""

import torch
from sklearn.datasets import load_digits
from torch import Tensor


def digits(test: bool = False) -> tuple[Tensor, Tensor]:
    """Images (N, 1, 8, 8) and labels (N,): the first 1347 to train, the last 450 to test."""
    content = load_digits()
    images = torch.tensor(content.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(content.target)
    part = slice(1347, None) if test else slice(1347)
    return images[part], labels[part]
