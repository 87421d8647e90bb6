"""Cross-entropy: train with it, score with it, understand it.

The public names are resolved on first use, so that ``import crossent`` loads neither Numba nor PyTorch nor PyArrow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# public name -> the module it lives in; tests/walls/test_public_names.py holds the list
_HOMES = {
    "cross_entropy": "crossent.arrays.softmax_cross_entropy",
    "cross_entropy_and_grad": "crossent.arrays.softmax_cross_entropy",
    "cross_entropy_from_log_probs": "crossent.arrays.cross_entropy",
    "cross_entropy_from_log_probs_and_grad": "crossent.arrays.cross_entropy",
    "cross_entropy_from_probs": "crossent.arrays.cross_entropy",
    "cross_entropy_from_probs_and_grad": "crossent.arrays.cross_entropy",
    "binary_cross_entropy": "crossent.arrays.sigmoid_cross_entropy",
    "binary_cross_entropy_and_grad": "crossent.arrays.sigmoid_cross_entropy",
    "binary_cross_entropy_from_probs": "crossent.arrays.sigmoid_cross_entropy",
    "binary_cross_entropy_from_probs_and_grad": "crossent.arrays.sigmoid_cross_entropy",
    "entropy": "crossent.arrays.entropy",
    "entropy_of": "crossent.arrays.entropy",
    "perplexity": "crossent.arrays.entropy",
    "kl_divergence": "crossent.arrays.divergence",
    "js_divergence": "crossent.arrays.divergence",
    "TopKTargets": "crossent.arrays.targets",
    "ValueAndGrad": "crossent.arrays.results",
    "ExactSum": "crossent.arrays.exact_sum",
    "set_num_threads": "crossent.arrays.machine",
    "get_num_threads": "crossent.arrays.machine",
    "warm_up": "crossent.arrays.machine",
    "show_config": "crossent.arrays.machine",
    "score": "crossent.scoring.score",
    "Score": "crossent.scoring.result",
    "compare": "crossent.scoring.comparison",
    "Comparison": "crossent.scoring.comparison",
    "diagnose": "crossent.explaining.diagnosing.diagnose",
    "Diagnosis": "crossent.explaining.diagnosing.diagnosis",
    "packages": "crossent.peers.table",
    "PackageAnswer": "crossent.peers.answer",
    "PackageTable": "crossent.peers.table",
    "explain": "crossent.explaining.explanation",
    "explore": "crossent.explaining.page.explore",
    "Explanation": "crossent.explaining.explanation",
}

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604  # the names are the keys above: written once

if TYPE_CHECKING:
    from crossent.arrays.cross_entropy import (
        cross_entropy_from_log_probs,
        cross_entropy_from_log_probs_and_grad,
        cross_entropy_from_probs,
        cross_entropy_from_probs_and_grad,
    )
    from crossent.arrays.divergence import js_divergence, kl_divergence
    from crossent.arrays.entropy import entropy, entropy_of, perplexity
    from crossent.arrays.exact_sum import ExactSum
    from crossent.arrays.machine import get_num_threads, set_num_threads, show_config, warm_up
    from crossent.arrays.results import ValueAndGrad
    from crossent.arrays.sigmoid_cross_entropy import (
        binary_cross_entropy,
        binary_cross_entropy_and_grad,
        binary_cross_entropy_from_probs,
        binary_cross_entropy_from_probs_and_grad,
    )
    from crossent.arrays.softmax_cross_entropy import cross_entropy, cross_entropy_and_grad
    from crossent.arrays.targets import TopKTargets
    from crossent.explaining.diagnosing.diagnose import diagnose
    from crossent.explaining.diagnosing.diagnosis import Diagnosis
    from crossent.explaining.explanation import Explanation, explain
    from crossent.explaining.page.explore import explore
    from crossent.peers.answer import PackageAnswer
    from crossent.peers.table import PackageTable, packages
    from crossent.scoring.comparison import Comparison, compare
    from crossent.scoring.result import Score
    from crossent.scoring.score import score


def __getattr__(name: str) -> Any:
    if name in ("torch", "sklearn"):  # the host packages' doors are modules: `crossent.torch.cross_entropy`
        return import_module(f"crossent.{name}")
    home = _HOMES.get(name)
    if home is None:
        message = f"module 'crossent' has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
