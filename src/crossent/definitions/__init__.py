"""The mathematics as written: each loss, its gradient and its domain in plain NumPy float64."""
