"""Reproduction: the paper's figures and tables as sweeps of jobs, run once and reported."""
