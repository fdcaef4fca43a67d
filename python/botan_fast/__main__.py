"""`python -m botan_fast`, and the command botan-fast."""

import sys

__all__ = ["start"]


def start() -> int:
    """Run the command line of this process and return its exit status.

    Signals have their handlers before anything else is loaded: Ctrl-C in the first milliseconds is one line too.
    """
    from .interruption import install

    install()
    try:
        from .cli.entry import main
    except OSError as error:  # such as so few file handles that no module can be loaded
        print(f"botan-fast: error: {error.strerror or error}", file=sys.stderr)
        return 2
    return main()


if __name__ == "__main__":
    sys.exit(start())
