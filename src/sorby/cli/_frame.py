"""What every command shares: one JSON object on request, one-line errors, fixed exit codes."""

from __future__ import annotations

import functools
import json
import math
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from sorby.errors import InputError, SorbyError, SorbyWarning

Render = Callable[[dict[str, Any]], str]

#: What newer versions of click raise for a group without a command, its help as the message.
_NO_COMMAND: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())

_INTERRUPTED = "interrupted; a fine-tuning or a line run resumes with the same command, anything else starts over"

_FAILURE = "sorby.failure"

EXIT_DONE, EXIT_BUG, EXIT_INPUT, EXIT_QUARANTINED, EXIT_INTERRUPTED = 0, 1, 2, 3, 130


class LazyGroup(click.Group):
    """A group that imports a command's module only when that command is asked for.

    Parameters
    ----------
    commands_at : dict of str to (str, str)
        Command name to (module:attribute, one-line help), so that ``--help`` imports nothing heavy.
    """

    def __init__(self, *args: Any, commands_at: dict[str, tuple[str, str]] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.commands_at = commands_at or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name every command, those not yet imported too."""
        return [*self.commands_at, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in self.commands_at:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.commands_at[cmd_name][0].partition(":")
        command = getattr(import_module(module), attribute)
        if not isinstance(command, click.Command):  # a broken registration is our bug, not the user's
            raise TypeError(f"{module}:{attribute} is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands, those not yet imported by their registered one-line helps."""
        rows = [(name, line) for name, (_, line) in self.commands_at.items()]
        rows += [(name, command.get_short_help_str(formatter.width)) for name, command in self.commands.items()]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


class _Debug:
    """Whether tracebacks are wanted; set by ``--debug`` of the running command."""

    wanted = False


def _want_debug(_ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    _Debug.wanted = _Debug.wanted or value


def finite(value: Any) -> Any:
    """Return *value* ready for JSON: numpy scalars unwrapped, paths as text, NaN and infinity as null."""
    if isinstance(value, dict):
        return {str(key): finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set):
        return [finite(entry) for entry in value]
    if isinstance(value, Path):
        return finite(str(value))
    if hasattr(value, "tolist"):
        return finite(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, str):  # a file name that is no UTF-8 holds surrogates, which no terminal prints
        return value.encode("utf-8", "backslashreplace").decode()
    return value


def reports(render: Render) -> Callable[[Callable[..., dict[str, Any]]], Callable[..., None]]:
    """Give a command ``--json`` and ``--debug`` and print what it returns.

    Parameters
    ----------
    render : callable
        Turns the command's dict into the text that people see.

    Returns
    -------
    decorator
        For a function that returns the dict of ``contract.md``. A non-empty ``quarantined`` entry makes the
        exit code 3.
    """

    def decorate(function: Callable[..., dict[str, Any]]) -> Callable[..., None]:
        @click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON object on stdout.")
        @click.option("--debug", is_flag=True, expose_value=False, callback=_want_debug, help="Show tracebacks.")
        @functools.wraps(function)
        def command(*args: Any, as_json: bool, **kwargs: Any) -> None:
            with _speaking_to_people(quiet_stdout=as_json):
                result = function(*args, **kwargs)
            if as_json:
                click.echo(json.dumps(finite(result), indent=2, ensure_ascii=False, allow_nan=False))
            else:
                click.echo(finite(render(result)))
            for entry in result.get("quarantined") or ():
                click.echo(f"quarantined: {entry['file']}: {entry['reason']}", err=True)
            if result.get("quarantined"):
                raise click.exceptions.Exit(EXIT_QUARANTINED)

        return command

    return decorate


def set_aside(error: SorbyError) -> None:
    """Fail with *error* once the report is printed; the command carries `fails_after_report`."""
    click.get_current_context().meta[_FAILURE] = error


def fails_after_report(command: Callable[..., None]) -> Callable[..., None]:
    """Let a command print its full report, and then fail with the error that it `set_aside`."""

    @functools.wraps(command)
    def reported(*args: Any, **kwargs: Any) -> None:
        command(*args, **kwargs)
        failure = click.get_current_context().meta.get(_FAILURE)
        if failure is not None:
            raise failure

    return reported


@contextmanager
def _speaking_to_people(*, quiet_stdout: bool) -> Iterator[None]:
    """Show sorby's warnings as one line on stderr; keep stray library output off stdout under ``--json``."""

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        if issubclass(category, SorbyWarning) or _Debug.wanted:
            click.echo(f"warning: {message}", err=True)

    stdout = sys.stdout
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = show
        try:
            if quiet_stdout:
                sys.stdout = sys.stderr
            yield
        finally:
            sys.stdout = stdout


def overrides(settings: Sequence[str]) -> dict[str, str]:
    """Read ``--set section.field=value`` entries.

    Raises
    ------
    InputError
        An entry has no ``=`` or no field name.
    """
    parsed = {}
    for entry in settings:
        key, equals, value = entry.partition("=")
        if not equals or not key.strip():
            raise InputError(f"--set {entry}: not of the form section.field=value", "e.g. --set head.folds=3")
        parsed[key.strip()] = value
    return parsed


def _complain(message: str, hint: str) -> None:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    click.echo(f"hint: {hint}", err=True)


def run(root: click.Command, arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code, errors told in two lines on stderr."""
    _Debug.wanted = False
    try:
        code = root.main(
            args=list(sys.argv[1:] if arguments is None else arguments),
            prog_name="sorby",
            standalone_mode=False,
        )
        return int(code or EXIT_DONE)
    except click.exceptions.Abort:
        click.echo(_INTERRUPTED, err=True)
        return EXIT_INTERRUPTED
    except KeyboardInterrupt:
        click.echo(_INTERRUPTED, err=True)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        return EXIT_DONE
    except _NO_COMMAND as error:
        click.echo(error.format_message(), err=True)
        _complain("no command given", "choose one of those above")
        return EXIT_INPUT
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context is not None else "sorby"
        _complain(error.format_message(), f"see '{path} --help'")
        return EXIT_INPUT
    except SorbyError as error:
        if _Debug.wanted:
            traceback.print_exc()
        _complain(error.message, error.hint or "see --help")
        return error.exit_code
    except OSError as error:
        if _Debug.wanted:
            traceback.print_exc()
        _complain(
            f"{error.filename or 'file system'}: {error.strerror or error}",
            "check the path, the drive and its permissions",
        )
        return EXIT_INPUT
    except Exception as error:
        if _Debug.wanted:
            traceback.print_exc()
        _complain(
            f"a fault of sorby itself: {type(error).__name__}: {error}",
            "repeat with --debug and report what it prints",
        )
        return EXIT_BUG
