"""The kernel for any targets compiles for a GPU in every stage, and all kernels where there is one of everything."""

import os
import subprocess
import sys
from pathlib import Path


def lines_of(script: str, cache: Path) -> list[list[str]]:
    environment = os.environ | {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(cache)}
    command = [sys.executable, Path(__file__).with_name(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def test_compiles_for_hopper(tmp_path: Path) -> None:
    lines = lines_of("compile_soft_targets.py", tmp_path)
    assert [stage for stage, _, _ in lines] == ["0", "0", "0", "1", "2"]
    assert all(arch == "90" and int(size) > 10_000 for _, arch, size in lines)


def test_compiles_where_there_is_one_of_everything(tmp_path: Path) -> None:
    one_class = "class_id_columns solve_rows"
    one_long_row = "see_parts join_parts write_parts number_rows solve_rows solve_rows"
    others = "_sum _sum _count _scale _tile_sums _times _add_transposed_times"
    kernels, (few_classes,) = lines_of("compile_smallest.py", tmp_path)
    assert kernels == f"{one_class} {one_long_row} {others}".split()
    assert few_classes == "2"  # without a z_loss, and once for all its values
