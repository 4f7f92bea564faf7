"""Tests of classes of your own: what every problem and every optimizer must be.

They raise `UserError`, as the scripts do before long work: one line says what was expected, what
arrived, and what to change. In a test suite:

    def test_my_problem() -> None:
        l2o.testing.check_problem(MyProblem(m=2, n=3))
"""

from l2o.testing.optimizers import check_optimizer
from l2o.testing.problems import check_problem

__all__ = ["check_optimizer", "check_problem"]
