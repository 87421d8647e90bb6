"""What each function answers, as a closed form of the truth p and the prediction q; tests hold it to real runs."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Row = npt.NDArray[np.float64]
# (p, q, watched class, dtype) -> (loss in nats, derivative by what the function reads of the watched class)
Answer = Callable[[Row, Row, int, str], tuple[float, float | None]]


@dataclass(frozen=True)
class Rule:
    """A sentence for people and the same as a function."""

    text: str
    answer: Answer


def evaluate(rule: Rule, p: Row, q: Row, watched: int, dtype: str, *, reads: str) -> tuple[float, float | None]:
    """Return loss and derivative for one row; a function that reads probabilities gets them in its dtype."""
    with np.errstate(all="ignore"):
        given = q.astype(dtype).astype(np.float64) if reads == "probs" else q
        value, slope = rule.answer(p, given, watched, dtype)
        # a derivative overflows in the dtype of what it is taken by
        rounded = None if slope is None else float(np.array(slope, dtype)) + 0.0
    return value + 0.0, rounded


def _terms(p: Row, q: Row) -> float:
    """Return -sum p log q, where 0 log 0 is 0."""
    return float(-(p[p != 0.0] * np.log(q[p != 0.0])).sum())


def _strict(p: Row, q: Row) -> float:
    """Return -sum p log q, where 0 log 0 is NaN, as 0 times inf is."""
    return float(-(p * np.log(q)).sum())


def _excess(p: Row) -> float:
    return _terms(p, p)


def _per_q(p: Row, q: Row, w: int) -> float:
    return float(-p[w] / q[w]) if p[w] != 0.0 else 0.0


def _logits(p: Row, q: Row, w: int, _dtype: str) -> tuple[float, float | None]:
    return _terms(p, q), float(q[w] * p.sum() - p[w])


def _logits_strict(p: Row, q: Row, w: int, _dtype: str) -> tuple[float, float | None]:
    return _strict(p, q), float(q[w] * p.sum() - p[w])


def _logits_64(p: Row, q: Row, w: int, dtype: str) -> tuple[float, float | None]:
    logs = np.log(q)
    floored = np.exp(np.maximum(logs - logs.max(), -64.0))
    return _logits(p, floored / floored.sum(), w, dtype)


def _log_probs(p: Row, q: Row, w: int, _dtype: str) -> tuple[float, float | None]:
    return _terms(p, q), float(-p[w])


def _kl_log_probs_strict(p: Row, q: Row, w: int, _dtype: str) -> tuple[float, float | None]:
    return _strict(p, q) - _excess(p), float(-p[w])


def _kl_two_log_probs(p: Row, q: Row, w: int, _dtype: str) -> tuple[float, float | None]:
    return float((p * (np.log(p) - np.log(q))).sum()), float(-p[w])


def _probs(p: Row, q: Row, w: int, _dtype: str) -> tuple[float, float | None]:
    return _terms(p, q), _per_q(p, q, w)


def _probs_strict(p: Row, q: Row, w: int, _dtype: str) -> tuple[float, float | None]:
    return _strict(p, q), float(-p[w] / q[w])


def _flushed(q: Row, dtype: str) -> Row:
    """Return q without subnormal numbers: XLA and MLX compute with 0 instead."""
    return np.where(q < float(np.finfo(dtype).tiny), 0.0, q)


def _probs_flushed(p: Row, q: Row, w: int, dtype: str) -> tuple[float, float | None]:
    kept = _flushed(q, dtype)
    return _terms(p, kept), float(-p[w] / kept[w])


def _kl(p: Row, q: Row, _w: int, _dtype: str) -> tuple[float, float | None]:
    return _terms(p, q) - _excess(p), None


def _kl_flushed(p: Row, q: Row, w: int, dtype: str) -> tuple[float, float | None]:
    kept = _flushed(q, dtype)
    return _terms(p, kept) - _excess(p), _per_q(p, kept, w) if kept[w] != 0.0 else 0.0


def _kl_summand(p: Row, q: Row, _w: int, _dtype: str) -> tuple[float, float | None]:
    # p/q overflows before its logarithm would
    overflow = bool(np.isinf(p[p != 0.0] / q[p != 0.0]).any())
    return np.inf if overflow else _terms(p, q) - _excess(p) - float(p.sum() - q.sum()), None


def _kl_summand_flushed(p: Row, q: Row, w: int, dtype: str) -> tuple[float, float | None]:
    kept = _flushed(q, dtype)
    value = _terms(p, kept) - _excess(p) - float(p.sum() - kept.sum())
    return value, 1.0 + (_per_q(p, kept, w) if kept[w] != 0.0 else 0.0)


def _kl_rescaled_ratio(p: Row, q: Row, _w: int, dtype: str) -> tuple[float, float | None]:
    p, q = p / p.sum(), q / q.sum()
    overflow = bool((p[p != 0.0] / q[p != 0.0] > float(np.finfo(dtype).max)).any())
    return np.inf if overflow else _terms(p, q) - _excess(p), None


def _kl_rescaled(p: Row, q: Row, w: int, dtype: str) -> tuple[float, float | None]:
    return _kl(p / p.sum(), q / q.sum(), w, dtype)


def _kl_clipped(*, half: bool) -> Answer:
    def answer(p: Row, q: Row, w: int, dtype: str) -> tuple[float, float | None]:
        low = float(np.array(1e-7, dtype))
        inside = float(low <= q[w] <= 1.0)
        if half and q[w] == 1.0:  # jnp.clip shares the derivative between the two that are equal
            inside = 0.5
        p, q = np.clip(p, low, 1.0), np.clip(q, low, 1.0)
        return _terms(p, q) - _excess(p), inside * _per_q(p, q, w)

    return answer


def _ends(low: float | None, dtype: str) -> tuple[float, float]:
    """Return the two ends of a clip as the dtype rounds them; None is its eps."""
    small = np.finfo(dtype).eps if low is None else np.array(low, dtype)
    return float(small), float(np.array(1.0, dtype) - small)


def _clip(low: float | None, *, rescaled: bool, metric: bool) -> Answer:
    def answer(p: Row, q: Row, w: int, dtype: str) -> tuple[float, float | None]:
        bottom, top = _ends(low, dtype)
        total = float(q.sum()) if rescaled else 1.0
        share = q / total
        inside = (share >= bottom) & (share <= top)
        value = _terms(p, np.clip(share, bottom, top))
        if metric:
            return value, None
        slope = _per_q(p, q, w) if inside[w] else 0.0
        # every q is in the sum that the others are divided by
        return value, slope + (float(p[inside].sum()) / total if rescaled else 0.0)

    return answer


def _clip_softmax(p: Row, q: Row, w: int, dtype: str) -> tuple[float, float | None]:
    bottom, top = _ends(1e-7, dtype)
    clipped = np.clip(q, bottom, top)
    slope = _per_q(p, q, w) + float(p.sum() / clipped.sum()) if bottom <= q[w] <= top else 0.0
    return _terms(p, clipped / clipped.sum()), slope


def _floor(low: float) -> Answer:
    return lambda p, q, w, dtype: (_terms(p, np.maximum(q, low)), None)


def _cleanlab(p: Row, q: Row, w: int, dtype: str) -> tuple[float, float | None]:
    clipped = np.maximum(q, 1e-6)
    return _clip(None, rescaled=False, metric=True)(p, clipped / clipped.sum(), w, dtype)


def _caffe(p: Row, q: Row, w: int, _dtype: str) -> tuple[float, float | None]:
    floored = np.maximum(q, 1e-20)
    return _terms(p, floored), _per_q(p, floored, w)


def _eps_added(p: Row, q: Row, w: int, dtype: str) -> tuple[float, float | None]:
    more = q + float(np.finfo(dtype).eps)
    return _terms(p, more), _per_q(p, more, w)


def _dropped(p: Row, q: Row, _w: int, _dtype: str) -> tuple[float, float | None]:
    return _terms(p[q > 0.0], q[q > 0.0]), None


def _huge(p: Row, q: Row, w: int, _dtype: str) -> tuple[float, float | None]:
    return min(_terms(p, q), 1e20), _per_q(p, q, w)


def _log_of_softmax(p: Row, q: Row, _w: int, dtype: str) -> tuple[float, float | None]:
    loss = _terms(p, q.astype(dtype).astype(np.float64))
    # e**loss, the perplexity, overflows first
    return loss if loss < np.log(float(np.finfo(dtype).max)) else np.inf, None


def _generalized_flushed(p: Row, q: Row, w: int, dtype: str) -> tuple[float, float | None]:
    return _generalized(p, _flushed(q, dtype), w, dtype)


def _generalized(p: Row, q: Row, w: int, _dtype: str) -> tuple[float, float | None]:
    y = int(p.argmax())
    return float((1.0 - q[y] ** 0.5) / 0.5), float(-(q[y] ** -0.5)) if w == y else 0.0


# From here on: one probability, q[w], and how true its class is, p[w].


def _metric(answer: Answer) -> Answer:
    return lambda p, q, w, dtype: (answer(p, q, w, dtype)[0], None)


def _two(p: Row, q: Row, w: int) -> tuple[Row, Row]:
    return np.array([p[w], 1.0 - p[w]]), np.array([q[w], 1.0 - q[w]])


def _binary_logits(p: Row, q: Row, w: int, _dtype: str) -> tuple[float, float | None]:
    return _terms(*_two(p, q, w)), float(q[w] - p[w])


def _binary_logits_split(p: Row, q: Row, w: int, _dtype: str) -> tuple[float, float | None]:
    return _strict(*_two(p, q, w)), float(q[w] - p[w])


def _binary_score(*, threshold: bool) -> Answer:
    def answer(p: Row, q: Row, w: int, dtype: str) -> tuple[float, float | None]:
        # CatBoost keeps labels in float32
        truth = np.array(p[w] > 0.5 if threshold else np.float32(p[w]), np.float64)
        return _strict(np.array([truth, 1.0 - truth]), np.array([q[w], 1.0 - q[w]])), None

    return answer


def _binary_logits_torch(p: Row, q: Row, w: int, _dtype: str) -> tuple[float, float | None]:
    y, x = p[w], np.log(q[w]) - np.log1p(-q[w])
    return float((1.0 - y) * x - np.log(q[w])), float(q[w] - y)


def _binary_logits_maximum(p: Row, q: Row, w: int, _dtype: str) -> tuple[float, float | None]:
    y, x = p[w], np.log(q[w]) - np.log1p(-q[w])
    return float(np.maximum(x, 0.0) - x * y + np.log1p(np.exp(-abs(x)))), float(q[w] - y)


def _binary_logits_kink(p: Row, q: Row, w: int, dtype: str) -> tuple[float, float | None]:
    value, slope = _binary_logits_maximum(p, q, w, dtype)
    # its derivative at logit 0 lacks max's half and the half of |z|
    return value, slope if slope is None or q[w] != 0.5 else slope - 1.0


def _binary_probs(p: Row, q: Row, w: int, _dtype: str) -> tuple[float, float | None]:
    truth, given = _two(p, q, w)
    return _terms(truth, given), _per_q(truth, given, 0) - _per_q(truth, given, 1)


# 1e-12, which PyTorch keeps in float32 for every dtype
_TORCH_FLOOR = float(np.float32(1e-12))


def _binary_log_clamped(p: Row, q: Row, w: int, _dtype: str) -> tuple[float, float | None]:
    truth, given = _two(p, q, w)
    value = float(-(truth * np.maximum(np.log(given), -100.0)).sum())
    return value, float((q[w] - p[w]) / max(q[w] * (1.0 - q[w]), _TORCH_FLOOR))


def _binary_log_clamped_autograd(p: Row, q: Row, w: int, dtype: str) -> tuple[float, float | None]:
    truth, given = _two(p, q, w)
    # the clamped side is 0 / q, NaN at 0
    kept = np.where(np.log(given) > -100.0, truth, 0.0)
    value, _ = _binary_log_clamped(p, q, w, dtype)
    return value, float(-kept[0] / given[0] + kept[1] / given[1])


def _binary_clip(low: float, *, metric: bool) -> Answer:
    def answer(p: Row, q: Row, w: int, dtype: str) -> tuple[float, float | None]:
        bottom, top = _ends(low, dtype)
        value, slope = _binary_probs(p, np.clip(q, bottom, top), w, dtype)
        return value, None if metric else slope if bottom <= q[w] <= top else 0.0

    return answer


def _binary_floor(low: float) -> Answer:
    def answer(p: Row, q: Row, w: int, dtype: str) -> tuple[float, float | None]:
        given = q.astype(dtype)
        both = np.array([given[w], 1 - given[w]], np.float64)
        return _terms(np.array([p[w], 1.0 - p[w]]), np.maximum(both, low)), None

    return answer


RULES = {
    "logits": Rule("log-softmax of the logits: inf at 0", _logits),
    "logits, 0 times inf": Rule("log-softmax times the target: NaN where both are 0", _logits_strict),
    "logits, at most 64 apart": Rule("logits at most 64 below the largest, then log-softmax", _logits_64),
    "log-probs": Rule("-log q as given: inf at 0", _log_probs),
    "KL of log-probs, 0 times inf": Rule("p (log p - log q): NaN where both are 0", _kl_log_probs_strict),
    "KL of two log-probs": Rule("e**log p (log p - log q): NaN wherever p is 0", _kl_two_log_probs),
    "probs": Rule("-log q: inf at 0", _probs),
    "probs, 0 times inf": Rule("-p log q as written: NaN where both are 0", _probs_strict),
    "probs, flushed": Rule("-log q, subnormal q taken for 0: inf", _probs_flushed),
    "probs, inf is 1e20": Rule("-log q, then inf replaced by 1e20", _huge),
    "metric, probs": Rule("-log q: inf at 0", _metric(_probs)),
    "metric, probs that sum to 1": Rule("-log q: inf at 0; refuses rows that do not sum to 1", _metric(_probs)),
    "metric, impossible dropped": Rule("terms with q = 0 left out", _dropped),
    "metric, logits": Rule("log-softmax of raw scores: inf at 0", _metric(_logits)),
    "metric, log of softmax": Rule("softmax, then log; inf once e**loss overflows", _log_of_softmax),
    "metric, clip eps": Rule("q clipped to [eps, 1 - eps] of its dtype", _clip(None, rescaled=False, metric=True)),
    "metric, clip 1e-15": Rule("q clipped to [1e-15, 1 - 1e-15]", _clip(1e-15, rescaled=False, metric=True)),
    "metric, clip 1e-6, rescaled": Rule("q raised to 1e-6, rescaled, then clipped to eps", _cleanlab),
    "metric, floor 1e-15": Rule("q raised to 1e-15", _floor(1e-15)),
    "metric, softmax, floor 1e-16": Rule("softmax, q raised to 1e-16", _floor(1e-16)),
    "rescaled, clip eps": Rule(
        "q rescaled, clipped to [eps, 1 - eps] of its dtype", _clip(None, rescaled=True, metric=False)
    ),
    "rescaled, clip 1e-7": Rule("q rescaled, clipped to [1e-7, 1 - 1e-7]", _clip(1e-7, rescaled=True, metric=False)),
    "clip 1e-7, softmax": Rule("q clipped to [1e-7, 1 - 1e-7], log, softmax again", _clip_softmax),
    "floor 1e-20": Rule("q raised to 1e-20", _caffe),
    "eps added": Rule("-log(q + eps)", _eps_added),
    "generalized, 0.5": Rule("(1 - sqrt q) / 0.5: 2 at 0", _generalized),
    "generalized, 0.5, flushed": Rule("(1 - sqrt q) / 0.5: 2 at 0; subnormal q taken for 0", _generalized_flushed),
    "KL": Rule("p log(p / q): inf at 0", _kl),
    "KL, flushed": Rule("p log(p / q), subnormal q taken for 0: inf", _kl_flushed),
    "KL - p + q": Rule("p log(p / q) - p + q: inf once p / q overflows", _kl_summand),
    "KL - p + q, flushed": Rule("p log(p / q) - p + q, subnormal q taken for 0: inf", _kl_summand_flushed),
    "KL, both rescaled": Rule("p and q rescaled, p log(p / q): inf at 0", _kl_rescaled),
    "KL, both rescaled, of a ratio": Rule(
        "p and q rescaled, p log(p / q): inf once p / q overflows", _kl_rescaled_ratio
    ),
    "KL, clip 1e-7": Rule("p and q clipped to [1e-7, 1], p log(p / q)", _kl_clipped(half=False)),
    "KL, clip 1e-7, half at 1": Rule(
        "p and q clipped to [1e-7, 1], p log(p / q); half the derivative at 1", _kl_clipped(half=True)
    ),
    "binary logits": Rule("log-sigmoid of the logit: inf at 0", _binary_logits),
    "binary logits, split": Rule("y log s(z) + (1 - y) log s(-z): NaN for 0 times inf", _binary_logits_split),
    "binary logits, torch": Rule("(1 - y) z - log s(z): NaN at logit -inf", _binary_logits_torch),
    "binary logits, maximum": Rule("softplus(z) - y z: NaN for 0 times inf", _binary_logits_maximum),
    "binary logits, maximum, kink": Rule(
        "softplus(z) - y z: NaN for 0 times inf; derivative 1 too low at logit 0", _binary_logits_kink
    ),
    "metric, binary score": Rule("log-sigmoid of the raw score: NaN for 0 times inf", _binary_score(threshold=False)),
    "metric, binary score, label above 0.5": Rule(
        "log-sigmoid of the raw score, a label above 0.5 is 1: NaN for 0 times inf", _binary_score(threshold=True)
    ),
    "binary probs": Rule("-log q: inf at 0", _binary_probs),
    "log clamped at -100": Rule("log q clamped at -100", _binary_log_clamped),
    "log clamped at -100, autograd": Rule("log q clamped at -100, derivative 0 / 0 at 0", _binary_log_clamped_autograd),
    "binary, clip 1e-7": Rule("q clipped to [1e-7, 1 - 1e-7]", _binary_clip(1e-7, metric=False)),
    "metric, binary probs": Rule("-log q: inf at 0", _metric(_binary_probs)),
    "metric, binary floor 1e-15": Rule("q and 1 - q raised to 1e-15", _binary_floor(1e-15)),
    "metric, sigmoid, floor 1e-16": Rule("sigmoid, q and 1 - q raised to 1e-16", _binary_floor(1e-16)),
}
