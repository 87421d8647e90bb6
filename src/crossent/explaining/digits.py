"""Numbers as a reader wants them: short, with a real minus sign, and never rounded to a 0 or a 1 that they are not."""

import math
import re


def compact(value: float) -> str:
    """Return up to three significant digits: 0.1, 1, 1e−7, 0.9999 (not 1), <1 (not 1 either)."""
    if value == 0.0:
        return "0"
    if not math.isfinite(value):
        return _sign(str(value))
    if 1000.0 <= abs(value) < 1e6:
        return _sign(f"{value:.0f}")
    text = f"{value:.3g}"
    if float(text) == 1.0 != value:
        text = f"{value:.6g}"
        if float(text) == 1.0:
            return "<1" if value < 1.0 else ">1"
    return _sign(text)


def signed(value: float) -> str:
    """Return a compact number with its sign: +0.5, −0.9, 0."""
    return "+" + compact(value) if value > 0.0 else compact(value)


def amount(value: float) -> str:
    """Return an amount of information with three decimals: 2.303, 0, inf, 4.00e−5."""
    if value == 0.0:
        return "0"
    if not math.isfinite(value):
        return _sign(str(value))
    if abs(value) < 0.0005 or abs(value) >= 1e6:
        return _sign(f"{value:.2e}")
    return _sign(f"{value:.3f}")


def long_amount(value: float) -> str:
    """Return six decimals, and dots where more would follow: 2.302585…, 0.5."""
    if value == 0.0 or not math.isfinite(value):
        return amount(value)
    text = f"{value:.6f}" if 0.0005 <= abs(value) < 1e6 else f"{value:.6e}"
    if float(text) == value:
        return _sign(f"{value:.6g}")
    return _sign(text) + "…"


def chances(value: float) -> str:
    """Return the n of "1 chance in n"."""
    return f"{value:,.0f}" if 100.0 <= value < 1e6 else compact(value)


def _sign(text: str) -> str:
    text = re.sub(r"e([+-])0*(\d+)", lambda match: "e" + match[1].replace("+", "") + match[2], text)
    return text.replace("-", "−")
