"""Make digits_probs.parquet and digits_logits.parquet: real predictions, small enough to ship with the repository.

A logistic regression on scikit-learn's 1797 handwritten digits; each row is predicted by a model that was fitted on the
other nine tenths of the data. Run it as ``python examples/make_digits.py``; the result does not depend on chance.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import parquet
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).parent


def write(name: str, prefix: str, labels: np.ndarray, predictions: np.ndarray) -> None:
    columns = {"label": pa.array(labels, pa.int64())}
    for digit in range(predictions.shape[1]):
        columns[f"{prefix}_{digit}"] = pa.array(predictions[:, digit].astype(np.float32))
    parquet.write_table(pa.table(columns), HERE / name, compression="zstd", use_dictionary=False)


def main() -> None:
    images, labels = load_digits(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    folds = StratifiedKFold(n_splits=10, shuffle=True, random_state=0)
    probabilities = cross_val_predict(model, images, labels, cv=folds, method="predict_proba")
    logits = cross_val_predict(model, images, labels, cv=folds, method="decision_function")
    write("digits_probs.parquet", "prob", labels, probabilities)
    write("digits_logits.parquet", "logit", labels, logits)


if __name__ == "__main__":
    main()
