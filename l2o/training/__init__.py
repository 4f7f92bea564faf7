"""Meta-training. Lightning, Hydra and Weights & Biases are known only here."""
