"""`optiinfra mcp` as programs start it: the official SDK's client over its standard input and output."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from loopback import HANG, free_port
from mcp import Client, MCPError, StdioServerParameters
from test_protocol import SAMPLES
from tool_client import Tools, text_of
from world import World

from optiinfra_api.mcp.tools import INSTRUCTIONS, TOOLS

COMMAND = ("-m", "optiinfra_assets.cli", "mcp")


def _environment(token: str, home: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("OPTIINFRA_")}
    return {**own, "OPTIINFRA_TOKEN": token, "OPTIINFRA_HOME": str(home)}


def _run(tools: Tools, home: Path, use: Callable[[Client], Awaitable[Any]]) -> Any:
    async def connect() -> Any:
        arguments = [*COMMAND, "--url", tools.url]
        environment = _environment(str(tools.token), home)
        command = StdioServerParameters(command=sys.executable, args=arguments, env=environment)
        with anyio.fail_after(HANG):
            async with Client(command) as client:
                return await use(client)

    return anyio.run(connect)


def test_the_same_tools_give_the_same_answers(tools: Tools, tmp_path: Path) -> None:
    async def use(client: Client) -> Any:
        listed = (await client.list_tools()).tools
        said = {name: text_of(await client.call_tool(name, given)) for name, given in SAMPLES.items()}
        refused = await client.call_tool("query_costs", {"period": "never"})
        return client.instructions, listed, said, refused

    instructions, listed, said, refused = _run(tools, tmp_path, use)
    assert instructions == INSTRUCTIONS
    assert [one.name for one in listed] == list(TOOLS)
    assert said == {name: text_of(tools.result(name, **given)) for name, given in SAMPLES.items()}
    assert refused.is_error
    assert "period: is not accepted" in text_of(refused)


def test_another_customers_token_shows_that_customer(world: World, tools: Tools, tmp_path: Path) -> None:
    other = tools.of(world.customer().token)
    assert (
        json.loads(text_of(_run(other, tmp_path, lambda client: client.call_tool("list_accounts", {}))))["rows"] == []
    )


def test_a_token_that_is_revoked_meanwhile_is_an_error_of_the_tool(world: World, tools: Tools, tmp_path: Path) -> None:
    issued = world.metadata.tokens.issue("for a while", tools.customer_id, "viewer")

    async def use(client: Client) -> Any:
        before = await client.call_tool("list_accounts", {})
        world.metadata.tokens.revoke(issued.token.token_id)
        with anyio.fail_after(HANG):
            while not (after := await client.call_tool("list_accounts", {})).is_error:
                await anyio.sleep(0.5)
        with pytest.raises(MCPError) as listed:
            await client.list_tools()
        return before, after, str(listed.value)

    before, after, listed = _run(tools.of(issued.plaintext), tmp_path, use)
    assert not before.is_error
    said = f"{tools.url} does not answer, or takes the token no more: see `optiinfra status`"
    assert (text_of(after), listed) == (said, said)


def test_nothing_but_the_protocol_is_on_standard_output(tools: Tools, tmp_path: Path) -> None:
    ping = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    done = _started(tmp_path, str(tools.token), "--url", tools.url, given=f"{ping}\n")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["id"] for line in done.stdout.splitlines()] == [1]
    assert str(tools.token) not in done.stderr


def test_ctrl_c_ends_it_while_it_waits_for_input(tools: Tools, tmp_path: Path) -> None:
    command = [sys.executable, *COMMAND, "--url", tools.url]
    environment = _environment(str(tools.token), tmp_path)
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as started:
        assert started.stdin is not None
        assert started.stdout is not None
        try:
            started.stdin.write(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
            started.stdin.flush()
            assert started.stdout.readline()
            started.send_signal(signal.SIGINT)
            assert started.wait(HANG) == -signal.SIGINT
        finally:
            started.kill()


def test_without_standard_input_it_says_what_is_missing(tools: Tools, tmp_path: Path) -> None:
    command = shlex.join([sys.executable, *COMMAND, "--url", tools.url])
    environment = _environment(str(tools.token), tmp_path)
    done = subprocess.run(
        ["/bin/sh", "-c", f"exec {command} <&-"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert done.stderr.startswith("error: standard input or output: is closed")


def _started(home: Path, token: str, *more: str, given: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *COMMAND, *more]
    environment = _environment(token, home)
    return subprocess.run(
        command, env=environment, input=given, capture_output=True, text=True, timeout=HANG, check=False
    )


@pytest.mark.parametrize("kind", ["no token", "a revoked one", "a wrong file", "no API", "another address"])
def test_why_it_cannot_begin_is_one_line(world: World, tools: Tools, tmp_path: Path, kind: str) -> None:
    revoked = world.metadata.tokens.issue("revoked", tools.customer_id, "viewer")
    world.metadata.tokens.revoke(revoked.token.token_id)
    file = tmp_path / "token"
    file.write_text("two words\n")
    nowhere = f"http://127.0.0.1:{free_port()}/mcp"
    token, more, said = {
        "no token": ("", ["--url", tools.url], "OPTIINFRA_TOKEN: is not set; make one with: optiinfra token create"),
        "a revoked one": (
            revoked.plaintext,
            ["--url", tools.url],
            f"{tools.url}: the token is not valid: it may be revoked",
        ),
        "a wrong file": (
            "",
            ["--url", tools.url, "--token-file", str(file)],
            f"{file}: is no token: it begins with oi_",
        ),
        "no API": ("oi_x", ["--url", nowhere], f"{nowhere}: does not answer"),
        "another address": (
            str(tools.token),
            ["--url", tools.url.removesuffix("mcp")],
            "give the address of /mcp with --url",
        ),
    }[kind]
    done = _started(tmp_path, token, *more)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
    assert said in done.stderr


def test_a_token_of_a_file_is_taken(tools: Tools, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{tools.token}\n")
    assert _started(tmp_path, "", "--url", tools.url, "--token-file", str(file)).returncode == 0
