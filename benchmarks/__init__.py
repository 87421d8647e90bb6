"""The races: cases x rivals x shapes listed once, the machine's floors beside them, results as JSON, tables generated."""
