"""A Diagnosis in a notebook: plain tags, inline styles, no script."""

from html import escape

from crossent.explaining.diagnosing.diagnosis import Diagnosis
from crossent.explaining.digits import amount
from crossent.explaining.finding import Finding


def html_of(diagnosis: Diagnosis) -> str:
    """Return one list entry per finding, the fixes folded away."""
    count = len(diagnosis.findings)
    loss = "" if diagnosis.loss_nats is None else f"loss {amount(diagnosis.loss_nats)}: "
    title = f"{loss}{count or 'no'} finding{'' if count == 1 else 's'}"
    lines = ", ".join(f"{escape(line.name)} {amount(line.loss_nats)}" for line in diagnosis.references)
    compare = f"<p>compare: {lines}</p>" if lines else ""
    entries = "".join(_entry(finding) for finding in diagnosis.findings)
    return f"<div><p><strong>{title}</strong></p>{compare}<ol>{entries}</ol></div>"


def _entry(finding: Finding) -> str:
    parts = [
        ("evidence", "; ".join(finding.evidence)),
        ("rivals", "; ".join(finding.rivals)),
        ("decide by", finding.decide),
    ]
    rows = "".join(f"<dt>{label}</dt><dd>{escape(text)}</dd>" for label, text in parts if text)
    fixes = "".join(
        f"<dt>{framework}</dt><dd><pre style='margin:0'>{escape(code)}</pre></dd>"
        for framework, code in finding.fix.items()
    )
    return (
        f"<li><strong>{finding.code}</strong> {escape(finding.message)} {escape(finding.advice)}"
        f"<details><summary>evidence, rivals, fix</summary><dl>{rows}{fixes}</dl></details></li>"
    )
