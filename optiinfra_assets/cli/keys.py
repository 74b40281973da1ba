"""The commands keys list, rotate and retire, for master keys."""

from __future__ import annotations

from contextlib import ExitStack
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import click

from optiinfra_assets.cli.output import print_json, print_list, progress_bar
from optiinfra_assets.cli.stores import opened_metadata

if TYPE_CHECKING:
    from optiinfra_assets.metadata import Metadata
    from optiinfra_assets.vault.key_rotation import KeyRotationResult, MasterKey
    from optiinfra_assets.vault.keyring import Keyring


@click.group()
def keys() -> None:
    """Change the master key that stored secrets are encrypted under, while everything runs.

    Each secret has a data key of its own, and a master key wraps the data keys. Rotating wraps them anew; secrets stay as
    they are, and collections go on: each data key is under the old or the new key at any time, and both are known.

    \b
    Keys in a file (OPTIINFRA_MASTER_KEY_FILE, default master.key in OPTIINFRA_HOME), on one machine:
      1. optiinfra keys rotate                 makes a new key and puts it first in the file
      2. back the file up, apart from the database
      3. optiinfra keys retire <old key id>    drops it from the file; keep a copy with backups of the database from before

    \b
    Keys in OPTIINFRA_MASTER_KEY, or a file on several machines; each step on every machine before the next:
      1. make the new key                      openssl rand -base64 32, or a key in AWS KMS or Google Cloud KMS
      2. OPTIINFRA_MASTER_KEY=old,new          restart: every process can read what either has wrapped
      3. OPTIINFRA_MASTER_KEY=new,old          restart: new secrets are wrapped by the new key
      4. optiinfra keys rotate                 on one machine, with the same variable
      5. optiinfra keys retire <old key id>    refused while it still wraps anything
      6. OPTIINFRA_MASTER_KEY=new              restart

    A rotation that is stopped goes on where it stopped when it is started again.
    """


@keys.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List the master keys that were ever used here, never the keys themselves.

    \b
    in use    wraps what is stored from now on
    known     is given, and unwraps what it has wrapped
    missing   is not given: secrets under it cannot be opened until it is put back
    retired   wraps nothing, and never will again
    """
    with opened_metadata() as metadata:
        rows = _rows(metadata)
    columns = {name: itemgetter(name) for name in ("version", "key", "status", "credentials")}
    columns |= {"first used": itemgetter("first_used_at"), "retired": itemgetter("retired_at")}
    none = "no master key yet; the first secret makes one: optiinfra connect --help"
    print_list(rows, columns, none=none, as_json=as_json)


@keys.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def rotate(as_json: bool) -> None:
    """Wrap every data key by the first master key of OPTIINFRA_MASTER_KEY, or by a new one in the key file.

    Nothing has to be stopped. If it is interrupted, start it again: it goes on. A secret that was tampered with, or whose
    key is missing, is left as it is and named; then the exit code is 1. See `optiinfra keys --help` for the whole procedure.
    """
    with opened_metadata() as metadata:
        result = _rotated(metadata)
        spare = [one.key_id for one in metadata.credentials.master_keys() if _is_spare(one, result.key_id)]
    if as_json:
        print_json({"key": result.key_id, "rewrapped": result.done, "refused": result.refused, "spare": spare})
    else:
        _print_rotated(result, spare)
    if result.refused:
        raise click.exceptions.Exit(1)


@keys.command()
@click.argument("key_id")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def retire(key_id: str, as_json: bool) -> None:
    """Never wrap by a master key again, and drop it from the key file. KEY_ID is shown by `keys list`.

    Refused while it is in use or still wraps a secret, deleted ones included. Keep a copy with the backups of the database
    from before the rotation: without it their secrets cannot be opened.
    """
    from optiinfra_assets.vault.credential_audit import Actor

    with opened_metadata() as metadata:
        metadata.credentials.retire_key(Actor.here("keys"), key_id)
    if as_json:
        print_json({"key": key_id, "status": "retired"})
    else:
        click.echo(f"retired {key_id}: take it out of OPTIINFRA_MASTER_KEY if it is in there")


def _rotated(metadata: Metadata) -> KeyRotationResult:
    """Rotate the master keys, with a progress bar on stderr."""
    from optiinfra_assets.vault.credential_audit import Actor

    progress = progress_bar("rewrapping", "secrets")
    bar = progress.add_task("", total=None)
    with ExitStack() as shown:

        def watch(done: int, total: int) -> None:
            if not progress.live.is_started:  # start it only now: a rotation that fails at once prints only its error
                shown.enter_context(progress)
            progress.update(bar, completed=done, total=total)

        return metadata.credentials.rotate_keys(Actor.here("keys"), watch)


def _print_rotated(result: KeyRotationResult, spare: list[str]) -> None:
    click.echo(f"{result.done} secrets are under master key {result.key_id} now: back it up")
    for account_id, reason in result.refused.items():
        click.echo(f"error: {account_id}: {reason}", err=True)
    for key_id in spare:
        click.echo(f"next: optiinfra keys retire {key_id}")


def _is_spare(key: MasterKey, current: str) -> bool:
    return key.key_id != current and not key.credentials and key.retired_at is None


def _rows(metadata: Metadata) -> list[dict[str, Any]]:
    from optiinfra_assets.database.errors import StoreError
    from optiinfra_assets.settings import Settings
    from optiinfra_assets.vault.keyring import Keyring

    keyring, known = Keyring.configured(Settings()), metadata.credentials.master_keys()
    try:
        current = keyring.current().key_id
    except StoreError:
        current = None
    rows = [
        {
            "version": one.key_version,
            "key": one.key_id,
            "status": _status(keyring, one, current),
            "credentials": one.credentials,
            "first_used_at": one.first_used_at,
            "retired_at": one.retired_at,
        }
        for one in known
    ]
    if current and current not in {one.key_id for one in known}:
        unused = dict.fromkeys(("version", "first_used_at", "retired_at"))
        rows.append({**unused, "key": current, "status": "in use", "credentials": 0})
    return rows


def _status(keyring: Keyring, key: MasterKey, current: str | None) -> str:
    from optiinfra_assets.database.errors import StoreError

    if key.retired_at is not None:
        return "retired"
    if key.key_id == current:
        return "in use"
    try:
        keyring.key(key.key_id)
    except StoreError:
        return "missing"
    return "known"
