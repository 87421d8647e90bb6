"""A loss that looks wrong, read backwards: what it is consistent with, and what would decide."""
