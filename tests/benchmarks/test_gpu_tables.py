"""The tables of docs/gpu.md: of a made-up result, and what the page says where there is none."""

import json
from pathlib import Path
from typing import Any

import pytest
from benchmarks.gpu_cases import BOTH, FORWARD

from benchmarks import gpu_tables

ROOT = Path(__file__).resolve().parents[2]


def timing(median_ms: float) -> dict[str, float]:
    return {"median_ms": median_ms, "lower_quartile_ms": 0.96 * median_ms, "upper_quartile_ms": 1.02 * median_ms}


def result() -> dict[str, Any]:
    loss = {
        "name": "loss 8 x 10 float32",
        "kind": "loss",
        "bytes": {FORWARD: 2_000_000_000, BOTH: 4_000_000_000},
        "timings": {
            FORWARD: {"read, Triton": timing(0.5), "read, torch.sum": timing(0.6), "crossent": timing(0.625)},
            BOTH: {"copy, torch": timing(1.0), "crossent": timing(1.0), "theirs": timing(4.0)},
        },
        "errors": {
            "crossent": {"loss_ulp": 0.6, "gradient_ulp": 1.25},
            "theirs": {"loss_ulp": 1.5e7, "gradient_ulp": 2.0},
        },
        "extra_bytes": {"crossent": 2**20},
        "failed": {"missing": "ImportError: no <kernel>"},
    }
    head = {
        "name": "head 4 x 5 x 6 bfloat16",
        "kind": "head",
        "timings": {
            FORWARD: {"one product, torch.mm": timing(2.0), "crossent": timing(4.0)},
            BOTH: {"three products, torch.mm": timing(6.0), "crossent": timing(8.0)},
        },
        "errors": {"crossent": {"loss_ulp": 0.5, "hidden_relative": 0.0032, "weight_relative": 0.0041}},
        "extra_bytes": {"crossent": 3 * 2**20},
        "failed": {"missing": "ImportError: no <kernel>"},
    }
    unfit = {"name": "loss 9 x 9 float32", "kind": "none", "failed": {"the case": "OutOfMemoryError: full"}}
    return {
        "made": "2026-11-29 23:00 UTC",
        "command": "python -m benchmarks.gpu",
        "commit": "abc",
        "device": {"name": "A Device", "driver": "1.2", "cuda": "13.0"},
        "versions": {"torch": "2.13.0", "quack-kernels": "not installed"},
        "runs": 31,
        "cases": [loss, unfit, head],
        "proofs": [
            {"kind": "loss", "name": "crossent", "waits": "pass"},
            {"kind": "loss", "name": "missing", "absent": "ImportError: no kernel"},
        ],
    }


@pytest.fixture
def text(tmp_path: Path) -> str:
    (tmp_path / "2026-11-28.json").write_text("{}", encoding="utf-8")
    (tmp_path / "2026-11-29.json").write_text(json.dumps(result()), encoding="utf-8")
    return gpu_tables.gpu(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        "Measured 2026-11-29 23:00 UTC at commit abc on A Device, driver 1.2, CUDA 13.0, medians of at most 31",
        "A quartile lies at most 4% from its median.",
        "Versions: torch 2.13.0, quack-kernels not installed.",
        "| forward: ms, GB/s (share of the floor) | read | crossent | theirs | missing |",
        "| loss 8 x 10 float32 | 0.500, 4,000 | 0.625, 3,200 (80%) | - | failed |",
        "| loss 8 x 10 float32 | 1.00, 4,000 | 1.00, 4,000 (100%) | 4.00, 1,000 (25%) | failed |",
        "| head 4 x 5 x 6 bfloat16 | 2.00 | 4.00 (50%) | failed |",
        "| head 4 x 5 x 6 bfloat16 | 6.00 | 8.00 (75%) | failed |",
        "| loss 8 x 10 float32 | 1.00 | - | - |",
        "| loss 8 x 10 float32 | 0.600; 1.25 | 15,000,000; 2.00 | - |",
        "| head 4 x 5 x 6 bfloat16 | 0.500; 3.2e-03; 4.1e-03 | - |",
        "| loss, crossent | pass |",
        "| loss, missing | ImportError: no kernel |",
        "- missing, 2 cases: ImportError: no &lt;kernel>",
        "- the case, 1 case: OutOfMemoryError: full",
    ],
)
def test_the_tables_show_what_was_measured_and_who_failed(text: str, line: str) -> None:
    assert line in text


def test_where_nothing_was_measured_the_page_says_so(tmp_path: Path) -> None:
    assert gpu_tables.gpu(tmp_path) == gpu_tables.NOT_MEASURED
    assert gpu_tables.NOT_MEASURED.startswith("Not measured")


def test_the_tables_of_the_page_are_what_the_results_say() -> None:
    page = (ROOT / gpu_tables.PAGE).read_text(encoding="utf-8")
    assert gpu_tables.MARKED.search(page)
    assert gpu_tables.filled(page) == page, "run `make tables`"


@pytest.mark.parametrize(
    ("element_bytes", "said"), [(2, "up to {:,} classes"), (4, "up to {:,} classes"), (8, "(float64: {:,})")]
)
def test_the_page_says_which_rows_stay_in_registers(element_bytes: int, said: str) -> None:
    pytest.importorskip("triton")
    from crossent._kernels.gpu import class_ids
    from crossent._kernels.gpu.layout import Layout

    def single(classes: int) -> bool:
        return class_ids.choose(Layout(8192, classes, 1, classes, 0, 1), element_bytes, 132).route == class_ids.WHOLE

    longest = max(2**power for power in range(1, 19) if single(2**power))
    assert said.format(longest) in (ROOT / gpu_tables.PAGE).read_text(encoding="utf-8")
