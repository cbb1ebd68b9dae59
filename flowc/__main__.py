"""In: `python -m flowc`. Out: the same as the command `flowc`."""

from flowc.cli import main

if __name__ == "__main__":
    main()
