"""An Explanation as LaTeX: symbol, substitution, result."""

import re
from dataclasses import dataclass

from crossent.explaining.digits import amount, signed
from crossent.explaining.explanation import Explanation
from crossent.explaining.steps import derive

GRADIENT_MOST = 12
SIGNS = {
    "Σ over the rows of H(p,q)": r"\sum_{n} H(p_n,q_n)",
    "log₂": r"\log_{2}",
    "log₁₀": r"\log_{10}",
    "Σ": r"\sum_{i}",
    "−": "-",
    "·": r" \cdot ",
    "…": r"\ldots",
    "ᵢ": "_{i}",
    "ⱼ": "_{j}",
    "‖": r" \,\|\, ",
}
WORDS = {"log": r"\log", "exp": r"\exp", "inf": r"\infty", "nan": r"\mathrm{NaN}"}
UNIT_NAMES = r"\b(nats|bits|hartleys)\b"


@dataclass(frozen=True)
class Formula:
    """The formula of one explanation with its numbers: notebooks set it as mathematics."""

    explanation: Explanation

    def _repr_latex_(self) -> str:
        return f"$$\n{self}\n$$"

    def __str__(self) -> str:
        return to_latex(self.explanation)


def to_latex(explanation: Explanation) -> str:
    """Return the derivation, the entropies and the gradient as one aligned environment."""
    found = derive(explanation)
    rows = [(found.left, found.formula), ("", found.substituted), ("", found.result)]
    lines = [f"{tex(left)} &= {tex(right)}" for left, right in rows if right]
    floor, excess = amount(explanation.entropy_target), amount(explanation.kl)
    lines.append(f"&= {tex('H(p) + KL(p‖q)')} = {tex(f'{floor} + {excess}')}")
    nats, bits = amount(explanation.entropy_prediction_nats), amount(explanation.entropy_prediction_bits)
    lines.append(f"H(q) &= {tex(f'{nats} nats = {bits} bits')}")
    slopes = [signed(explanation.terms[index].grad_logit) for index in explanation.shown]
    vector = r",\ ".join(tex(slope) for slope in slopes[:GRADIENT_MOST])
    more = "" if explanation.rest is None else r",\ \ldots"
    lines.append(rf"\frac{{\partial L}}{{\partial z}} &= \left({vector}{more}\right)")
    if explanation.as_logits is not None:
        lines.append(rf"L_{{\mathrm{{as\ logits}}}} &= {tex(amount(explanation.as_logits.loss))}")
    return "\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}"


def tex(text: str) -> str:
    """Return one of our own formulas, written in the signs of mathematics, in LaTeX's."""
    text = re.sub(r"\d+ more", r"\\cdots", text)
    for sign, command in SIGNS.items():
        text = text.replace(sign, command)
    text = re.sub(r"\bKL\b", r"\\mathrm{KL}", text)
    for word, command in WORDS.items():
        text = re.sub(rf"(?<!\\)\b{word}(?![a-z}}])", command.replace("\\", r"\\"), text)
    text = re.sub(UNIT_NAMES, r"\\ \\mathrm{\1}", text)
    return re.sub(r"(\d)e(-?\d+)", r"\1 \\times 10^{\2}", text)
