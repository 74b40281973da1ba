"""The command completion."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what makes a shell complete the commands and options of optiinfra.

    \b
    Examples, each for the file that the shell reads when it starts:
      eval "$(optiinfra completion bash)"                                        ~/.bashrc
      eval "$(optiinfra completion zsh)"                                         ~/.zshrc
      optiinfra completion fish > ~/.config/fish/completions/optiinfra.fish      once
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    root = context.find_root().command
    if kind is not None:
        click.echo(kind(root, {}, "optiinfra", "_OPTIINFRA_COMPLETE").source())
