"""More mail than a server can take: sessions that come at their own pace, whatever becomes of those before, and what each of them read."""

import asyncio
import collections


class Offer:
    """
    After run(): what was accepted (the Message-IDs that read 250), and what the others read, counted by reply code; "none" for a
    connection that ended without a word.
    """

    def __init__(self, port, size=4096, recipient="b@sink.test", mark="offer"):
        self.port = port
        self.recipient = recipient
        self.mark = mark
        self.filling = (b"X" * 70 + b"\r\n") * (size // 72)
        self.accepted = set()
        self.refused = collections.Counter()
        self.offered = 0

    def run(self, count, rate):
        """count sessions, one message each, so many a second (0: all at once)."""
        asyncio.run(self.offer(count, rate))

    def run_in_turns(self, sessions, turns):
        """So many clients, each with one session after the other."""
        async def client():
            for _ in range(turns):
                await self.session()

        async def clients():
            await asyncio.gather(*(client() for _ in range(sessions)))
        asyncio.run(clients())

    async def offer(self, count, rate):
        loop = asyncio.get_running_loop()
        began, sessions = loop.time(), []
        for number in range(count):
            if rate and (wait := began + number / rate - loop.time()) > 0:
                await asyncio.sleep(wait)
            sessions.append(asyncio.create_task(self.session()))
        await asyncio.gather(*sessions)

    async def session(self):
        identifier = f"<{self.mark}.{self.offered}@load.test>"
        self.offered += 1
        content = f"From: <a@load.test>\r\nTo: <{self.recipient}>\r\nMessage-ID: {identifier}\r\n\r\n".encode() + self.filling + b".\r\n"
        words = [b"", b"EHLO load.test\r\n", b"MAIL FROM:<a@load.test>\r\n", b"RCPT TO:<%s>\r\n" % self.recipient.encode(), b"DATA\r\n", content]
        writer = None
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            for octets in words:
                writer.write(octets)
                await writer.drain()
                while (line := await reader.readline())[3:4] == b"-":
                    pass
                if line[:1] not in (b"2", b"3"):
                    self.refused[line[:3].decode() or "none"] += 1
                    return
            self.accepted.add(identifier)
        except ConnectionError:
            self.refused["none"] += 1
        finally:
            if writer is not None:
                writer.close()
