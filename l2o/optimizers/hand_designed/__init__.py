"""Hand-designed methods, one file a scheme; each is an `Optimizer` with a grid for tuning."""

from l2o.optimizers.hand_designed.acgd import ACGD
from l2o.optimizers.hand_designed.adaptive_ogda import AdaptiveOGDA
from l2o.optimizers.hand_designed.adjusted import SGA, Consensus
from l2o.optimizers.hand_designed.adjusted_adam import ConsensusAdam, SGAAdam
from l2o.optimizers.hand_designed.agraal import AGRAAL
from l2o.optimizers.hand_designed.anchoring import GDAnchoring
from l2o.optimizers.hand_designed.anderson import Anderson
from l2o.optimizers.hand_designed.base import Grid, HandDesigned, Players
from l2o.optimizers.hand_designed.cgd import CGD
from l2o.optimizers.hand_designed.descent import SGD, Adam
from l2o.optimizers.hand_designed.eag import EAGC, EAGV, FEG
from l2o.optimizers.hand_designed.extra_adam import ExtraAdam, PastExtraAdam
from l2o.optimizers.hand_designed.extragradient import AdaptiveExtragradient, Extragradient
from l2o.optimizers.hand_designed.follow_the_ridge import FollowTheRidge
from l2o.optimizers.hand_designed.gda import GDA, AlternatingGDA
from l2o.optimizers.hand_designed.gmres import GMRES
from l2o.optimizers.hand_designed.halpern import Halpern
from l2o.optimizers.hand_designed.kbeam import KBeam
from l2o.optimizers.hand_designed.lead import LEAD, AlternatingLEAD
from l2o.optimizers.hand_designed.lead_adam import LEADAdam
from l2o.optimizers.hand_designed.lookahead import Lookahead
from l2o.optimizers.hand_designed.negative_momentum import NegativeMomentum
from l2o.optimizers.hand_designed.ogda import OGDA
from l2o.optimizers.hand_designed.optimistic_adam import OptimisticAdam

__all__ = [
    "ACGD",
    "AGRAAL",
    "CGD",
    "EAGC",
    "EAGV",
    "FEG",
    "GDA",
    "GMRES",
    "LEAD",
    "OGDA",
    "SGA",
    "SGD",
    "Adam",
    "AdaptiveExtragradient",
    "AdaptiveOGDA",
    "AlternatingGDA",
    "AlternatingLEAD",
    "Anderson",
    "Consensus",
    "ConsensusAdam",
    "ExtraAdam",
    "Extragradient",
    "FollowTheRidge",
    "GDAnchoring",
    "Grid",
    "Halpern",
    "HandDesigned",
    "KBeam",
    "LEADAdam",
    "Lookahead",
    "NegativeMomentum",
    "OptimisticAdam",
    "PastExtraAdam",
    "Players",
    "SGAAdam",
]
