# Every target uses the `python` that is active; another one: make check PYTHON=python3.12
PYTHON ?= python

.PHONY: help check format test sweep gpu-route engines bench bench-short bench-scoring bench-gpu tables docs docs-pages

help:
	@echo "check  test  sweep  gpu-route  engines  bench  bench-short  bench-scoring  bench-gpu  tables  docs  docs-pages  format"

# Lint, format, types and the walls between the floors: everything that can be said without running the code.
check:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(PYTHON) -c "from importlinter.cli import lint_imports_command; lint_imports_command(['--no-logo', '--no-cache'])"

format:
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

# What `pytest` alone runs: all tests but the long sweeps.
test:
	$(PYTHON) -m pytest

sweep:
	$(PYTHON) -m pytest -m slow

# The PyTorch door's tests once more, through the GPU's kernels: tensors of the CPU, Triton's interpreter; ten minutes.
gpu-route:
	$(PYTHON) -m pytest tests/torch --gpu-route

# Scores on processes, Dask, Ray and Spark; those that are not installed are skipped.
engines:
	$(PYTHON) -m pytest tests/scoring/engines

# Scores beside decoding and scikit-learn, and the peak of memory over 6 GB; about five minutes.
bench-scoring:
	$(PYTHON) -m benchmarks.scoring

# The whole race, about half an hour on two cores; writes benchmarks/results/<date>.json.
bench:
	$(PYTHON) -m benchmarks.run

# Small shapes and few repeats: shows that the harness runs, not how fast anything is.
bench-short:
	$(PYTHON) -m benchmarks.run --short
	$(PYTHON) -m benchmarks.scoring --short

# The race on a CUDA device; without one it says so and ends with code 2. Writes benchmarks/results/gpu/<date>.json.
bench-gpu:
	$(PYTHON) -m benchmarks.gpu

# The tables of the README and of docs/, from the newest files in benchmarks/results.
tables:
	$(PYTHON) -m benchmarks.tables
	$(PYTHON) -m benchmarks.torch_tables
	$(PYTHON) -m benchmarks.scoring_tables
	$(PYTHON) -m benchmarks.gpu_tables

# The site in build/docs, strictly and without a network; needs the extra `docs`.
docs:
	NO_MKDOCS_2_WARNING=1 $(PYTHON) -m mkdocs build --strict

# The pages that are written by running the library, once more; dev/accuracy_page.py --measure measures the others anew.
docs-pages:
	$(PYTHON) dev/packages_page.py
	$(PYTHON) dev/findings_page.py
	$(PYTHON) dev/contract_page.py
	$(PYTHON) dev/accuracy_page.py
