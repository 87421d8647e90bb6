"""Datasets: the cross-entropy of a file of predictions, in one pass and bounded memory."""
