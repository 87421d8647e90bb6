"""``python -m crossent``: the same as the command ``crossent``."""

from crossent.cli.app import main

if __name__ == "__main__":
    main()
