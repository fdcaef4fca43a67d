"""The compiled core. Its functions take addresses and sizes, of which types say nothing; ops, graph and physics stand
before it and are annotated."""

from typing import Any

def __getattr__(name: str) -> Any: ...
