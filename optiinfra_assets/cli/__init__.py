"""The command ``optiinfra``. It prints every error as one line on stderr; OPTIINFRA_DEBUG=1 shows the traceback instead.

Exit codes: 0 success, 1 failure, 2 invalid command line, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

import click

from optiinfra_assets.cli.errors import error_line
from optiinfra_assets.cli.running_home import use_running_demo

_HELP = """Exact multi-cloud cost data, from the files of your providers to GraphQL.

\b
Try it, with simulated data:
  optiinfra demo

\b
Your own files (state lives in OPTIINFRA_HOME, default ~/.optiinfra):
  optiinfra up                                  in one shell; Ctrl-C stops it
  optiinfra connect focus --customer acme --location /data/focus
  optiinfra collect --customer acme --wait
  optiinfra costs --customer acme
  optiinfra token create --customer acme

\b
When something is wrong:
  optiinfra status
"""


@click.group(help=_HELP, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="optiinfra", prog_name="optiinfra")
@click.pass_context
def command(context: click.Context) -> None:
    """Group the commands; click shows `_HELP` instead of this text."""
    use_running_demo(context.invoked_subcommand)


def _register() -> None:
    from optiinfra_assets.cli import (
        accounts,
        alerts,
        anomalies,
        backups,
        budgeting,
        collecting,
        completing,
        connecting,
        costs,
        customers,
        deliveries,
        forecasting,
        keeping,
        keys,
        mcp,
        rates,
        reconciling,
        schedules,
        serving,
        status,
        tokens,
    )

    verbs = (
        serving.up,
        serving.demo,
        serving.migrate,
        status.status,
        connecting.connect,
        accounts.accounts,
        costs.costs,
        reconciling.reconcile,
        alerts.alerts,
        forecasting.forecast,
        budgeting.budgets,
        anomalies.anomalies,
        customers.customers,
        rates.rates,
        collecting.collect,
        schedules.schedule,
        tokens.token,
        deliveries.delivery,
        keys.keys,
        keeping.gc,
        backups.backup,
        backups.restore,
        mcp.mcp,
        completing.completion,
    )
    for verb in verbs:
        command.add_command(verb)


_register()


def main() -> NoReturn:
    """Run the command line and exit; the entry point of ``optiinfra``."""
    debug = bool(os.environ.get("OPTIINFRA_DEBUG"))
    try:
        code = command.main(prog_name="optiinfra", standalone_mode=False)
    except click.exceptions.Exit as wanted:
        sys.exit(wanted.exit_code)
    except click.exceptions.NoArgsIsHelpError as wanted:
        click.echo(wanted.format_message(), err=True)
        sys.exit(wanted.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except Exception as error:
        if debug:
            raise
        click.echo(f"error: {error_line(error)}", err=True)
        sys.exit(error.exit_code if isinstance(error, click.ClickException) else 1)
    sys.exit(code if isinstance(code, int) else 0)
