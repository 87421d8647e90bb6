"""Which packages are asked: the probe's file, what must be importable for it, and what it is started with."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Probe:
    """One package, or one package on one of its back ends."""

    package: str
    file: str
    # importable name -> distribution whose version counts; the first is the package itself
    needs: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)


def _keras(backend: str) -> Probe:
    needs = {"keras": "keras", backend: backend}
    return Probe(f"keras on {backend}", "keras", needs, {"KERAS_BACKEND": backend})


PROBES = (
    Probe("crossent", "crossent", {"numba": "crossent"}),
    Probe("numpy by hand", "numpy", {"numpy": "numpy"}),
    Probe("torch", "torch", {"torch": "torch"}),
    _keras("torch"),
    _keras("jax"),
    _keras("numpy"),
    _keras("tensorflow"),
    Probe("tensorflow", "tensorflow", {"tensorflow": "tensorflow"}),
    Probe("optax", "optax", {"optax": "optax", "jax": "jax"}),
    Probe("jax", "jax", {"jax": "jax"}),
    Probe("scikit-learn", "sklearn", {"sklearn": "scikit-learn"}),
    Probe("scipy", "scipy", {"scipy": "scipy"}),
    Probe("torchmetrics", "torchmetrics", {"torchmetrics": "torchmetrics", "torch": "torch"}),
    Probe("lightgbm", "lightgbm", {"lightgbm": "lightgbm"}),
    Probe("xgboost", "xgboost", {"xgboost": "xgboost"}),
    Probe("catboost", "catboost", {"catboost": "catboost"}),
    Probe("spark", "spark", {"pyspark": "pyspark"}),
    Probe("paddle", "paddle", {"paddle": "paddlepaddle"}),
    Probe("mlx", "mlx", {"mlx": "mlx"}),
    Probe("timm", "timm", {"timm": "timm", "torch": "torch"}),
    Probe(
        "liger on cpu",
        "liger",
        {"liger_kernel": "liger_kernel", "triton": "triton", "torch": "torch"},
        {"TRITON_INTERPRET": "1"},
    ),
    Probe("monai", "monai", {"monai": "monai", "torch": "torch"}),
    Probe("dit", "dit", {"dit": "dit"}),
    Probe("pyitlib", "pyitlib", {"pyitlib": "pyitlib"}),
    Probe("infomeasure", "infomeasure", {"infomeasure": "infomeasure"}),
)
