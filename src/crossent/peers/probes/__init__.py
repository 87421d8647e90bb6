"""How each package is asked: one file per package, the only places that import it, run in a child process alone."""
