"""Evaluation: how well an optimizer does on a problem, as numbers, tables and plots."""

from l2o.evaluation.measure import EvaluationSettings, measure, sample_set
from l2o.evaluation.metrics import Measurements
from l2o.evaluation.quality import Assessment, assess

__all__ = [
    "Assessment",
    "EvaluationSettings",
    "Measurements",
    "assess",
    "measure",
    "sample_set",
]
