"""The front door for NumPy: check, arrange into rows, call a kernel, reduce. The docstrings live here."""
