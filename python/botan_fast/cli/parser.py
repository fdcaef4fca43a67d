"""argparse with one-line errors and suggestions."""

import argparse
import re
from typing import Any, NoReturn

from ..files import did_you_mean

__all__ = ["Parser", "UsageError"]


class UsageError(Exception):
    """A mistake in the arguments."""


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Names a default where there is one: not for switches, nor where the text itself says what is used."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, False) else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors and suggestions."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=_HelpFormatter, **options)

    def error(self, message: str) -> NoReturn:
        """Raise a UsageError where argparse would end the process."""
        chosen = re.search(r"invalid choice: '(.+?)' \(choose from (.+)\)", message)
        if chosen:
            message += did_you_mean(chosen[1], re.findall(r"[\w-]+", chosen[2]))
        raise UsageError(f"{message} (see {self.prog} --help)")

    def check_options(self, argv: list[str]) -> None:
        """Name an unknown option before argparse reports what is missing because of it."""
        known = [option for action in self._actions for option in action.option_strings]
        for argument in argv:
            option = argument.split("=")[0]
            if option.startswith("--") and option != "--" and option not in known:
                self.error(f"unknown option {option}{did_you_mean(option, known)}")
