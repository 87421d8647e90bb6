"""The machines: rows in, results out; no checks, no allocation. What they compute is documented at the doors."""
