"""`python -m frcnn`: the command line, where its script is not on the path."""

from frcnn.cli import main

if __name__ == "__main__":
    main()
