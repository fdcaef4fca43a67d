"""argparse with one-line errors and suggestions."""

import argparse
import re
from typing import Any, NoReturn

from ..files import did_you_mean
from ..option import meant

__all__ = ["Parser", "UsageError", "with_options"]


class UsageError(Exception):
    """A mistake in the arguments."""


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Names a default where there is one: not for switches, nor where the text itself says what is used."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        said = action.default is None or isinstance(action.default, bool) or "(default" in (action.help or "")
        return action.help if said else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """argparse with one-line errors and suggestions. An option is written out: a prefix could mean another tomorrow."""

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
            if option == "--":
                return
            # -lr and -epochs too; -o FILE may be written as -oFILE, and -3 is a number
            long = option.startswith("--") or (re.match(r"-[a-z]{2}", option) and option[:2] not in known)
            if long and option not in known:
                self.error(f"unknown option {option}{_meant(option, known)}")


def _meant(option: str, known: list[str]) -> str:
    """The end of a message about an unknown option."""
    names = [name[2:].replace("-", "_") for name in known if name.startswith("--")]
    return meant(option, names, lambda name: "--" + name.replace("_", "-"))


def with_options(message: str, *arguments: argparse.Namespace) -> str:
    """A message of the library with the command's names: --learning-rate for learning_rate, --p 1 for p=1.

    An option that comes from a file of --config keeps its name, behind that of the file.

    >>> import argparse
    >>> from botan_fast.cli.parser import with_options
    >>> with_options("learning_rate = -1.0: give a positive number", argparse.Namespace(learning_rate=-1.0))
    '--learning-rate = -1.0: give a positive number'
    """
    files = {name: file for values in arguments for name, file in getattr(values, "files", {}).items()}
    for name in (name for values in arguments for name in vars(values)):
        if name in files:  # as it stands there
            if re.match(rf"{name}\b", message):
                message = f"{files[name]}: {message}"
            continue
        option = "--" + name.replace("_", "-")
        # Not a part of a word or of a path, nor an option already.
        begin = rf"(?<![\w./'\"-]){name}"
        message = re.sub(rf"^{name}(?= = )", option, message)
        message = re.sub(rf"{begin}=(?=[\s,;)]|$)", option, message)
        given = rf"{begin}=(?!True \(--)(['\"]?)([^\s,;)]+?)\1(?=[\s,;)]|$)"
        message = re.sub(given, rf"{option} \2", message)
        if "_" in name:  # no word of English
            message = re.sub(rf"{begin}\b", option, message)
    return message
