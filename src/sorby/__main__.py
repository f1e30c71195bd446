"""``python -m sorby``: the command line where no script is on the path (Windows laboratory PCs)."""

from sorby.cli import main

if __name__ == "__main__":
    main()
