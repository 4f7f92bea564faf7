"""The command line: Hydra, one-line errors, sweeps, summaries."""
