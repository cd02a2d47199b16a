"""A client of NATS that shares no code with what it tests.

It reads one JSON object a line, does what `op` says, and answers with one JSON object a line.
"""

import asyncio
import json
import sys

import nats
from nats.errors import Error, NoRespondersError, TimeoutError as NatsTimeout


class Client:
    def __init__(self):
        self.nc = None
        self.subscriptions = {}
        self.errors = []

    async def on_error(self, error):
        self.errors.append(str(error))

    async def connect(self, servers, inbox_prefix="_INBOX", **options):
        self.nc = await nats.connect(
            servers=servers,
            inbox_prefix=inbox_prefix.encode(),
            error_cb=self.on_error,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.05,
            **options,
        )
        return {"ok": True}

    async def request(self, subject, body="", headers=None, timeout=10):
        try:
            message = await self.nc.request(
                subject, body.encode(), timeout=timeout, headers=headers or None
            )
        except NoRespondersError:
            return {"error": "no responders"}
        except NatsTimeout:
            return {"error": "timeout", "errors": self.errors}
        return seen(message)

    async def publish(self, subject, body="", headers=None, reply=""):
        await self.nc.publish(subject, body.encode(), reply=reply, headers=headers or None)
        await self.nc.flush(5)
        return {"ok": True, "errors": self.errors}

    async def subscribe(self, subject, queue=""):
        self.subscriptions[subject] = await self.nc.subscribe(subject, queue=queue)
        await self.nc.flush(5)
        return {"ok": True, "errors": self.errors}

    async def next(self, subject, timeout=5):
        try:
            return seen(await self.subscriptions[subject].next_msg(timeout=timeout))
        except (NatsTimeout, asyncio.TimeoutError):
            return {"error": "timeout", "errors": self.errors}

    async def gather(self, subject, quiet=0.5):
        """Everything that comes, until nothing does for a while."""
        all = []
        while True:
            message = await self.next(subject, quiet)
            if "error" in message:
                return {"messages": all}
            all.append(message)

    async def many(self, subject, n, body="", headers=None, timeout=20):
        """Requests, all at once."""
        one = lambda: self.request(subject, body, headers, timeout)
        return {"replies": await asyncio.gather(*(one() for _ in range(n)))}

    async def all(self, requests, timeout=20):
        """Different requests, all at once."""
        one = lambda it: self.request(it["subject"], it.get("body", ""), it.get("headers"), timeout)
        return {"replies": await asyncio.gather(*(one(it) for it in requests))}

    async def survey(self, subject, body="", wait=0.5):
        """All replies to one request."""
        inbox = self.nc.new_inbox()
        subscription = await self.nc.subscribe(inbox)
        await self.nc.publish(subject, body.encode(), reply=inbox)
        replies = []
        try:
            while True:
                replies.append(seen(await subscription.next_msg(timeout=wait)))
        except (NatsTimeout, asyncio.TimeoutError):
            return {"replies": replies}

    async def make_stream(self, name, subjects):
        await self.nc.jetstream().add_stream(name=name, subjects=subjects)
        return {"ok": True}

    async def stream(self, name):
        """What a stream of JetStream holds, oldest first."""
        js = self.nc.jetstream()
        info = await js.stream_info(name)
        messages = []
        for sequence in range(info.state.first_seq or 1, info.state.last_seq + 1):
            message = await js.get_msg(name, sequence)
            messages.append(
                {
                    "subject": message.subject,
                    "headers": dict(message.headers or {}),
                    "body": message.data.decode(),
                }
            )
        return {"subjects": info.config.subjects, "messages": messages}

    async def close(self):
        await self.nc.close()
        return {"ok": True}


def seen(message):
    return {
        "subject": message.subject,
        "headers": dict(message.headers or {}),
        "body": message.data.decode(),
    }


async def main():
    client = Client()
    loop = asyncio.get_running_loop()
    while True:
        line = await loop.run_in_executor(None, sys.stdin.readline)
        if not line:
            return
        wish = json.loads(line)
        try:
            answer = await getattr(client, wish.pop("op"))(**wish)
        except (Error, OSError) as error:
            answer = {"error": f"{type(error).__name__}: {error}", "errors": client.errors}
        print(json.dumps(answer), flush=True)


asyncio.run(main())
