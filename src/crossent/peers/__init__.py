"""What other packages answer at zero and at the other edge cases: measured, recorded, or by the rule of their source."""
