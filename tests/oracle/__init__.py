"""The oracle: exact answers from mpmath, and the tables made with it; nothing here imports crossent."""
