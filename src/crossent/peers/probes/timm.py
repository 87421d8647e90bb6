"""timm: its loss for soft targets."""

import importlib.util
from pathlib import Path
from typing import Any

from crossent.peers.probes.function import Function
from crossent.peers.probes.torch import differentiated


def _soft_target_cross_entropy() -> Any:
    # from its file: `import timm` wants torchvision, which the loss does not
    package = importlib.util.find_spec("timm")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("No module named 'timm'", name="timm")  # noqa: EM101
    path = Path(package.origin).parent / "loss" / "cross_entropy.py"
    spec = importlib.util.spec_from_file_location("timm_loss_cross_entropy", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.SoftTargetCrossEntropy()


FUNCTIONS = (
    Function(
        *("SoftTargetCrossEntropy", "logits", "distribution", "float32", "logits, 0 times inf"),
        differentiated(_soft_target_cross_entropy()),
    ),
)
