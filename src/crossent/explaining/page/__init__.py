"""The page: one prediction that can be dragged, in a browser, a notebook or a saved file."""
