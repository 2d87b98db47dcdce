"""`python -m workers` is `tessera`."""

from workers.start import main

if __name__ == "__main__":
    main()
