"""Every hand-designed method, set for games whose Lipschitz constant is about 3."""

from __future__ import annotations

from typing import Any

from l2o.optimizers.hand_designed import (
    AGRAAL,
    CGD,
    EAGC,
    EAGV,
    FEG,
    GDA,
    GMRES,
    LEAD,
    OGDA,
    SGA,
    AdaptiveExtragradient,
    AdaptiveOGDA,
    AlternatingGDA,
    AlternatingLEAD,
    Anderson,
    Consensus,
    Extragradient,
    FollowTheRidge,
    GDAnchoring,
    Halpern,
    HandDesigned,
    KBeam,
    NegativeMomentum,
)

METHODS: dict[str, HandDesigned[Any]] = {
    "GDA": GDA(0.1),
    "AlternatingGDA": AlternatingGDA(0.1),
    "OGDA": OGDA(0.1),
    "AdaptiveOGDA": AdaptiveOGDA(),
    "Extragradient": Extragradient(0.1),
    "AdaptiveExtragradient": AdaptiveExtragradient(),
    "NegativeMomentum": NegativeMomentum(0.1, -0.3),
    "GDAnchoring": GDAnchoring(1.0),
    "EAGC": EAGC(3.0),
    "EAGV": EAGV(3.0),
    "FEG": FEG(3.0, 0.1),
    "Halpern": Halpern(1.0),
    "AGRAAL": AGRAAL(),
    "KBeam": KBeam(beams=3),
    "LEAD": LEAD(0.1, 0.1, 0.2),
    "AlternatingLEAD": AlternatingLEAD(0.1, 0.1, 0.2),
    "SGA": SGA(0.1, 0.2),
    "Consensus": Consensus(0.1, 0.2),
    "CGD": CGD(0.2),
    "FollowTheRidge": FollowTheRidge(0.1, 0.2),
    "Anderson": Anderson(),
    "GMRES": GMRES(),
}
