"""Readers of prediction files, one file per format; `opening.open_source` chooses among them."""
