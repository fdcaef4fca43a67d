import sys

from ..__main__ import start

if __name__ == "__main__":
    sys.exit(start())
