"""One prediction explained: the data, and the forms in which it is shown."""
