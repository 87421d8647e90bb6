"""MONAI: its focal loss with softmax at gamma 0, which is cross-entropy."""

from monai.losses import FocalLoss

from crossent.peers.probes.function import Function
from crossent.peers.probes.torch import differentiated

LOSS = FocalLoss(gamma=0.0, use_softmax=True, reduction="none")

FUNCTIONS = (
    Function(
        *("FocalLoss(gamma=0, use_softmax=True)", "logits", "distribution", "float32", "logits, 0 times inf"),
        differentiated(lambda logits, target: LOSS(logits, target).sum(dim=-1)),
    ),
)
