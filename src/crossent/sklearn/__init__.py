"""The scikit-learn door: drop-ins for sklearn.metrics that need no scikit-learn and sum without rounding."""

from crossent.sklearn.log_loss import log_loss

__all__ = ["log_loss"]
