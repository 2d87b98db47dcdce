"""`python -m workers` is `tessera`."""

from workers.cli import main

if __name__ == "__main__":
    main()
