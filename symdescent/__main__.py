"""``python -m symdescent``: the command line."""

from symdescent.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
