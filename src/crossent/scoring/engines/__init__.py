"""Who does the tasks: threads, processes, Dask, Ray or Spark; each is one function `map_tasks` in a file of its own."""
