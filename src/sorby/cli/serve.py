"""``sorby serve``: the station."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from sorby.cli._frame import reports
from sorby.errors import MissingPartError

_PARTS = ("alembic", "argon2", "fastapi", "nicegui", "openpyxl", "python_multipart", "sqlalchemy", "uvicorn")


def _show(result: dict[str, Any]) -> str:
    lines = [result["url"], f"home      {result['home']}"]
    if result["administrator"] is not None:
        lines += [
            "",
            f"sign in as {result['administrator']['name']} with the password {result['administrator']['password']}",
            "it is told this once, and must be changed at the first sign-in",
        ]
    lines += ["", *(f"note      {line}" for line in result["warnings"]), "stop with Ctrl-C"]
    return "\n".join(lines)


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", type=click.IntRange(0, 65535), default=8600, show_default=True, help="0 for any that is free.")
@click.option("--home", type=click.Path(path_type=Path, file_okay=False), metavar="DIR",
              help="The station's folder; by default `station` where sorby keeps its own.")  # fmt: skip
@click.option("--database", metavar="URL", envvar="SORBY_STATION_DATABASE", show_envvar=True,
              help="postgresql://USER@HOST/NAME; by default a SQLite file in the home.")  # fmt: skip
@click.option("--workers", type=click.IntRange(0, 64), default=1, show_default=True,
              help="Processes that inspect and train beside the server.")  # fmt: skip
@click.option("--url", "public_url", metavar="URL",
              help="How browsers reach it, where a proxy stands before it; for links and certificates.")  # fmt: skip
@click.option("--anchors", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Where the record's head is written now and then; best on another drive.")  # fmt: skip
@click.option("--admin-password-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="First password of the first administrator, instead of a random one.")  # fmt: skip
@click.option("--certificate", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="PEM",
              help="For HTTPS.")  # fmt: skip
@click.option("--certificate-key", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="PEM")
@click.option("--behind-proxy", is_flag=True, help="Believe a proxy on this computer about who asks.")
@reports(_show)
def serve(home: Path | None, admin_password_file: Path | None, **wish: Any) -> dict[str, Any]:
    """Serve the station: pages and REST where people look, decide, rate and sign.

    The first line says where. The first start makes the account of an administrator and tells its password once.

    Example: sorby serve --home station --workers 2
    """
    missing = [name for name in _PARTS if find_spec(name) is None]
    if missing:
        raise MissingPartError(f"the station needs {', '.join(missing)}", "pip install 'sorby[station]'")
    from sorby.bundle.keys import home as configuration
    from sorby.station.serving import Wish, opened, read_password

    password = None if admin_password_file is None else read_password(admin_password_file)
    context = click.get_current_context()
    station = context.with_resource(
        opened(Wish(home if home is not None else configuration() / "station", admin_password=password, **wish))
    )
    # The command has told where the station is when its context closes; then it serves until it is stopped.
    context.call_on_close(station.run)
    made = station.administrator
    told = None if made is None else {"name": made.account.name, "password": made.password}
    if told is not None and password is not None:
        told["password"] = f"in {admin_password_file}"
    return {
        "url": station.url,
        "home": str(station.desk.settings.home),
        "administrator": told,
        "warnings": list(station.warnings),
    }
