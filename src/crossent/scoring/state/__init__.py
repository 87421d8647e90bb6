"""What is kept of rows that were read: counts, exact sums and a few rows, so that merging is addition."""
