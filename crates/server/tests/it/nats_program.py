"""As much of the program `nats` as the examples use, on top of nats-py."""

import argparse
import asyncio
import os
import sys

import nats
from nats.errors import NoRespondersError, TimeoutError as NatsTimeout


async def connect(options):
    url = options.server or os.environ.get("NATS_URL", "nats://127.0.0.1:4222")
    refused = []

    async def on_error(error):
        refused.append(str(error))

    connection = await nats.connect(
        url,
        user=options.user,
        password=options.password,
        inbox_prefix=options.inbox_prefix.encode(),
        error_cb=on_error,
        allow_reconnect=False,
    )
    return connection, refused


async def request(options):
    connection, refused = await connect(options)
    headers = dict(header.split(":", 1) for header in options.header)
    headers = {name: value.strip() for name, value in headers.items()}
    try:
        reply = await connection.request(
            options.subject, options.body.encode(), timeout=options.timeout, headers=headers or None
        )
        print(reply.data.decode())
    except NoRespondersError:
        sys.exit("nats: error: no responders are available")
    except NatsTimeout:
        sys.exit(f"nats: error: {refused[0] if refused else 'timeout'}")
    finally:
        await connection.close()


async def subscribe(options):
    connection, refused = await connect(options)
    subscription = await connection.subscribe(options.subject)
    await connection.flush()
    for _ in range(options.count):
        try:
            message = await subscription.next_msg(timeout=options.timeout)
        except NatsTimeout:
            sys.exit(f"nats: error: {refused[0] if refused else 'timeout'}")
        print(message.data.decode(), flush=True)
    await connection.close()


def main():
    options = argparse.ArgumentParser(prog="nats")
    options.add_argument("-s", "--server")
    options.add_argument("--user")
    options.add_argument("--password")
    options.add_argument("--inbox-prefix", default="_INBOX")
    options.add_argument("--timeout", type=lambda text: float(text.removesuffix("s")), default=10.0)
    commands = options.add_subparsers(required=True)
    command = commands.add_parser("request")
    command.set_defaults(run=request)
    command.add_argument("--raw", action="store_true")
    command.add_argument("-H", "--header", action="append", default=[])
    command.add_argument("subject")
    command.add_argument("body")
    command = commands.add_parser("sub")
    command.set_defaults(run=subscribe)
    command.add_argument("--raw", action="store_true")
    command.add_argument("--count", type=int, default=1)
    command.add_argument("subject")
    options = options.parse_args()
    asyncio.run(options.run(options))


main()
