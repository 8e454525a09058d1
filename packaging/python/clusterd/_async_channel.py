"""The channel for asyncio. What is written waits in memory where clusterd does not take it, up to a bound."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from typing import Any, AsyncIterator, Deque, Dict, Optional

from ._channel import READ_BYTES, Lines, Message, closed, encode, message_of, milliseconds, open_socket, outcome, topic_of
from ._errors import ChannelClosedError

# Whoever writes waits while more than this is queued.
MAX_QUEUED_BYTES = 1 << 20


class AsyncChannel:
    """As Channel, with methods to await; within one event loop. `async with` opens and closes it."""

    def __init__(self) -> None:
        self._socket = open_socket()
        self._lines = Lines()
        self._messages: "Deque[Message]" = deque()
        self._replies: "Dict[int, asyncio.Future[Dict[str, Any]]]" = {}
        self._last_id = 0
        self._queued = bytearray()
        self._is_closed = False
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._has_room = asyncio.Event()
        self._has_room.set()
        self._loop.add_reader(self._socket, self._on_readable)

    async def __aenter__(self) -> "AsyncChannel":
        return self

    async def __aexit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """This process takes no further part. What is still queued is lost."""
        if self._socket.fileno() >= 0:
            self._end()
            self._socket.close()

    async def send(self, to: str, data: Any, raw: bool = False) -> None:
        await self._write(encode("send", to=to, data=data, raw=raw or None))

    async def publish(self, topic: str, data: Any, raw: bool = False) -> None:
        await self._write(encode("publish", topic=topic_of(topic), data=data, raw=raw or None))

    async def request(self, to: str, data: Any, timeout: Optional[float] = None) -> Any:
        return outcome(await self._ask("request", to=to, data=data, timeout_ms=milliseconds(timeout)), "data")

    async def subscribe(self, topic: str) -> None:
        outcome(await self._ask("subscribe", topic=topic_of(topic)), "value")

    async def unsubscribe(self, topic: str) -> bool:
        return outcome(await self._ask("unsubscribe", topic=topic_of(topic)), "value") is True

    async def ready(self) -> None:
        await self._write(encode("ready"))

    async def status(self, text: str) -> None:
        await self._write(encode("status", text=str(text)))

    async def heartbeat(self) -> None:
        await self._write(encode("heartbeat"))

    async def receive(self) -> Message:
        """The next message. Only one task may wait here."""
        while not self._messages:
            if self._is_closed:
                raise closed()
            self._arrived.clear()
            await self._arrived.wait()
        return self._messages.popleft()

    async def __aiter__(self) -> AsyncIterator[Message]:
        while True:
            try:
                message = await self.receive()
            except ChannelClosedError:
                return
            yield message

    async def _write(self, line: bytes) -> None:
        if self._is_closed:
            raise closed()
        self._queued += line
        if len(self._queued) == len(line):
            self._on_writable()
        await self._has_room.wait()
        if self._is_closed:
            raise closed()

    async def _ask(self, command: str, **fields: Any) -> Dict[str, Any]:
        self._last_id = number = self._last_id + 1
        reply: "asyncio.Future[Dict[str, Any]]" = self._loop.create_future()
        self._replies[number] = reply
        try:
            await self._write(encode(command, id=number, **fields))
            return await reply
        finally:
            self._replies.pop(number, None)

    async def _answer(self, number: int, **fields: Any) -> None:
        await self._write(encode("reply", id=number, **fields))

    def _on_writable(self) -> None:
        try:
            while self._queued:
                del self._queued[: self._socket.send(self._queued, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)]
        except BlockingIOError:
            self._loop.add_writer(self._socket, self._on_writable)
            if len(self._queued) > MAX_QUEUED_BYTES:
                self._has_room.clear()
            else:
                self._has_room.set()
            return
        except OSError:
            return self._end()
        self._loop.remove_writer(self._socket)
        self._has_room.set()

    def _on_readable(self) -> None:
        try:
            data = self._socket.recv(READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            return self._end()
        self._lines.add(data)
        for received in self._lines:
            if isinstance(received, dict) and received.get("cluster") == "reply":
                reply = self._replies.get(received["id"])
                if reply is not None and not reply.done():
                    reply.set_result(received)
            else:
                self._messages.append(message_of(received, self._answer))
        if self._messages:
            self._arrived.set()

    def _end(self) -> None:
        self._is_closed = True
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._arrived.set()
        self._has_room.set()
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(closed())
