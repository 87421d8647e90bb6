"""Small training loops in torch, each with one planted fault, and sound ones beside them."""
