"""Evaluation: how well an optimizer does on a problem, as numbers, tables and plots."""

from l2o.evaluation.measure import EvaluationSettings, measure, sample_set
from l2o.evaluation.metrics import Measurements, summarize

__all__ = [
    "EvaluationSettings",
    "Measurements",
    "measure",
    "sample_set",
    "summarize",
]
