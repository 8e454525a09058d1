"""The messages of the Python package over a socket whose other end the test holds, as the daemon would. The name of the
class of tests is the argument; tests/e2e/channel_bindings_test.cpp has the real daemon."""

import asyncio
import json
import os
import socket
import threading
import unittest

import clusterd
from clusterd import _channel


class Daemon:
    """The other end."""

    def __init__(self):
        self.socket, worker = socket.socketpair()
        self.stream = self.socket.makefile("rb")
        os.environ["CLUSTER_CHANNEL_FD"] = str(worker.detach())

    def heard(self):
        return json.loads(self.stream.readline())

    def say(self, *messages):
        self.socket.sendall(b"".join(json.dumps(message).encode() + b"\n" for message in messages))

    def answer(self, **fields):
        """Replies to the next thing that is said, from another thread, and remembers it."""
        def run():
            self.question = self.heard()
            self.say({"cluster": "reply", "id": self.question["id"], **fields})
        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def close(self):
        self.stream.close()
        self.socket.close()


class ChannelMissing(unittest.TestCase):
    def test_outside_of_clusterd(self):
        for value in (None, "", "x", "-1", "987"):
            os.environ.pop("CLUSTER_CHANNEL_FD", None)
            if value is not None:
                os.environ["CLUSTER_CHANNEL_FD"] = value
            with self.assertRaisesRegex(clusterd.NoChannelError, "clusterctl start"):
                clusterd.channel()
        self.assertTrue(issubclass(clusterd.NoChannelError, clusterd.Error))


class ChannelBlocking(unittest.TestCase):
    def setUp(self):
        self.daemon = Daemon()
        self.channel = clusterd.Channel()
        self.addCleanup(self.daemon.close)

    def test_what_is_said(self):
        self.assertFalse(os.get_inheritable(self.channel.fileno()))
        self.channel.ready()
        self.channel.status("wärm")
        self.channel.heartbeat()
        self.channel.send("api.2", {"n": [1, None]})
        self.channel.send("all", "x", raw=True)
        self.channel.publish("news", None)
        self.assertEqual([self.daemon.heard() for _ in range(6)], [
            {"cluster": "ready"}, {"cluster": "status", "text": "wärm"}, {"cluster": "heartbeat"},
            {"cluster": "send", "to": "api.2", "data": {"n": [1, None]}},
            {"cluster": "send", "to": "all", "data": "x", "raw": True},
            {"cluster": "publish", "topic": "news", "data": None}])

    def test_invalid_arguments(self):
        for wrong in (lambda: self.channel.send("a", object()), lambda: self.channel.send("a", float("nan")),
                      lambda: self.channel.publish("", 1), lambda: self.channel.publish("t" * 127, 1),
                      lambda: self.channel.request("a", 1, timeout=0)):
            with self.assertRaises((TypeError, ValueError)):
                wrong()

    def test_requests(self):
        self.daemon.say({"cluster": "message", "from": "b.1", "data": "meanwhile"})
        thread = self.daemon.answer(data=[3], **{"from": "b.0"})
        self.assertEqual(self.channel.request("b", {"a": 1}, timeout=0.5), [3])
        thread.join()
        self.assertEqual(self.daemon.question,
                         {"cluster": "request", "to": "b", "data": {"a": 1}, "timeout_ms": 500, "id": 1})
        self.assertEqual(self.channel.receive().data, "meanwhile")
        thread = self.daemon.answer(error="nobody there")
        with self.assertRaisesRegex(clusterd.RequestError, "nobody there"):
            self.channel.request("b", 1)
        thread.join()
        thread = self.daemon.answer(error="timeout")
        with self.assertRaises(TimeoutError):
            self.channel.request("b", 1)
        thread.join()
        thread = self.daemon.answer(error="too many subscriptions")
        with self.assertRaises(clusterd.RequestError):
            self.channel.subscribe("t")
        thread.join()
        thread = self.daemon.answer(value=False)
        self.assertFalse(self.channel.unsubscribe("t"))
        thread.join()

    def test_what_comes(self):
        self.daemon.say({"cluster": "message", "from": "b.1", "topic": "t", "data": 1},
                        {"cluster": "request", "id": 9, "from": "b.1", "data": 2}, {"cluster": "request", "id": 10, "data": 3},
                        {"cluster": "dropped", "count": 4}, {"cluster": "stopping", "grace_ms": 5}, {"type": "total"})
        first = self.channel.receive()
        self.assertEqual((first.kind, first.data, first.sender, first.topic), ("message", 1, "b.1", "t"))
        with self.assertRaises(ValueError):
            first.reply(1)
        request = self.channel.receive(timeout=0)
        self.assertTrue(request.is_request)
        request.reply([request.data])
        self.channel.receive().fail("no")
        self.assertEqual(self.daemon.heard(), {"cluster": "reply", "id": 9, "data": [2]})
        self.assertEqual(self.daemon.heard(), {"cluster": "reply", "id": 10, "error": "no"})
        self.assertEqual([self.channel.receive()[:2] for _ in range(3)],
                         [("dropped", 4), ("stopping", 5), ("application", {"type": "total"})])
        self.assertIsNone(self.channel.receive(timeout=0))
        self.assertIsNone(self.channel.receive(timeout=0.01))

    def test_partial_lines_and_the_end(self):
        self.daemon.socket.sendall(b'{"cluster":"message","da')
        self.assertIsNone(self.channel.receive(timeout=0))
        self.daemon.socket.sendall('ta":"é"}\n{"cluster"'.encode())
        self.daemon.close()
        self.assertEqual([message.data for message in self.channel], ["é"])
        with self.assertRaises(clusterd.ChannelClosedError):
            self.channel.receive()
        with self.assertRaises(clusterd.ChannelClosedError):
            self.channel.send("a", 1)

    def test_more_than_the_socket_holds(self):
        thread = threading.Thread(target=lambda: setattr(self, "got", self.daemon.heard()))
        thread.start()
        self.channel.send("a", "x" * 3000000)
        thread.join()
        self.assertEqual(len(self.got["data"]), 3000000)


class ChannelAsync(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.daemon = Daemon()
        self.addCleanup(self.daemon.close)

    async def test_conversation(self):
        async with clusterd.AsyncChannel() as channel:
            await channel.send("a", 1)
            self.assertEqual(self.daemon.heard(), {"cluster": "send", "to": "a", "data": 1})
            thread = self.daemon.answer(data="yes")
            self.assertEqual(await channel.request("b", 2, timeout=1), "yes")
            thread.join()
            thread = self.daemon.answer(error="it has left")
            with self.assertRaisesRegex(clusterd.RequestError, "it has left"):
                await channel.request("b", 2)
            thread.join()
            thread = self.daemon.answer(value=True)
            await channel.subscribe("t")
            thread.join()
            self.daemon.say({"cluster": "request", "id": 4, "data": 5}, {"cluster": "message", "topic": "t", "data": 6})
            messages = channel.__aiter__()
            await (await messages.__anext__()).reply(7)
            self.assertEqual(self.daemon.heard(), {"cluster": "reply", "id": 4, "data": 7})
            self.assertEqual((await messages.__anext__()).topic, "t")
            waiting = asyncio.ensure_future(channel.request("b", 1))
            await asyncio.get_running_loop().run_in_executor(None, self.daemon.heard)
            self.daemon.close()
            with self.assertRaises(clusterd.ChannelClosedError):
                await waiting
            self.assertEqual([message async for message in channel], [])

    async def test_one_that_is_slow_to_read(self):
        async with clusterd.AsyncChannel() as channel:
            writing = asyncio.ensure_future(channel.send("a", "x" * 3000000))
            loop = asyncio.get_running_loop()
            self.assertEqual(len((await loop.run_in_executor(None, self.daemon.heard))["data"]), 3000000)
            await writing


class ChannelTexts(unittest.TestCase):
    def test_lines(self):
        self.assertEqual(_channel.encode("send", to="a", raw=None, data=None), b'{"cluster":"send","to":"a","data":null}\n')
        lines = _channel.Lines()
        lines.add(b'1\n"a')
        self.assertEqual(list(lines), [1])
        lines.add(b'"\n2\n')
        self.assertEqual(list(lines), ["a", 2])


if __name__ == "__main__":
    unittest.main()
