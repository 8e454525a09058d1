"""Messages over the channel that clusterd gives every worker: lines of JSON (CHANNEL.md of clusterd).

Order is kept per pair of sender and receiver, and a message is delivered once or not at all. The socket stays in whatever
mode it is; nothing here is for more than one thread.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import time
from collections import deque
from typing import Any, Callable, Deque, Dict, Iterator, NamedTuple, Optional

from ._errors import ChannelClosedError, NoChannelError, RequestError, RequestTimeoutError

READ_BYTES = 65536
MAX_TOPIC_BYTES = 126

ATTACH_SECONDS = 5
ATTACH_MAGIC = 0x41544331
ATTACH_HEADER = struct.Struct("=IHHHHI")  # magic, version, code, items, bytes of an item, zero
ATTACH_KIND = struct.Struct("=H")
ATTACH_CHANNEL = 2


class Message(NamedTuple):
    """What came in. `kind` is "message", "request", "dropped" (data: how many messages this process did not read in time),
    "stopping" (data: milliseconds until it is killed), or "application" (data: something without an envelope)."""

    kind: str
    data: Any
    sender: Optional[str] = None  # "api.0"; None: clusterctl
    topic: Optional[str] = None  # None: it was not published
    answer: Optional[Callable[..., Any]] = None

    @property
    def is_request(self) -> bool:
        return self.kind == "request"

    def reply(self, data: Any) -> Any:
        """Answers a request; to be awaited where the channel is an AsyncChannel."""
        return self._answered(data=data)

    def fail(self, text: str) -> Any:
        """Answers a request with an error, which the other one's request raises."""
        return self._answered(error=str(text))

    def _answered(self, **fields: Any) -> Any:
        if self.answer is None:
            raise ValueError("only a request can be answered")
        return self.answer(**fields)


def inherited_socket() -> Optional[socket.socket]:
    """None: there is none, or something else has its number since a wrapper has closed it."""
    try:
        opened = socket.socket(fileno=int(os.environ["CLUSTER_CHANNEL_FD"]))
    except (KeyError, ValueError, OSError):
        return None
    if (opened.family, opened.type) == (socket.AF_UNIX, socket.SOCK_STREAM):
        return opened
    opened.detach()
    return None


def attached_socket(path: str) -> Optional[socket.socket]:
    """Another one, from CLUSTER_SOCKET (ATTACH.md of clusterd). None: it gives none."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asking:
            asking.settimeout(ATTACH_SECONDS)
            asking.bind(b"\0clusterd.channel." + os.urandom(16).hex().encode())
            asking.connect(path)
            answer, fds, _, _ = socket.recv_fds(asking, 1024, 16)
    except OSError:
        return None
    found = None
    magic, version, _, items, item_bytes, _ = ATTACH_HEADER.unpack_from(answer.ljust(ATTACH_HEADER.size, b"\0"))
    is_known = (magic == ATTACH_MAGIC and version == 1 and items == len(fds) and item_bytes >= 32
                and len(answer) == ATTACH_HEADER.size + items * item_bytes)
    for number, fd in enumerate(fds):
        kind = ATTACH_KIND.unpack_from(answer, ATTACH_HEADER.size + number * item_bytes)[0] if is_known else 0
        if kind == ATTACH_CHANNEL and found is None:
            found = socket.socket(fileno=fd)
        else:
            os.close(fd)
    return found


def open_socket() -> socket.socket:
    """The channel of this process, which no program that it starts inherits from now on."""
    opened = inherited_socket()
    if opened is None and os.environ.get("CLUSTER_SOCKET"):
        opened = attached_socket(os.environ["CLUSTER_SOCKET"])
    if opened is None:
        raise NoChannelError(
            "no channel: this process was not started by clusterd, or its worker says channel = false; "
            "start it by clusterctl start"
        )
    os.set_inheritable(opened.fileno(), False)
    return opened


def closed() -> ChannelClosedError:
    return ChannelClosedError("clusterd has closed the channel")


def encode(command: str, **fields: Any) -> bytes:
    """A line. Members that are None are left out, but for data. TypeError, ValueError: that is no JSON."""
    message = {name: value for name, value in fields.items() if value is not None or name == "data"}
    text = json.dumps({"cluster": command, **message}, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace") + b"\n"


def topic_of(topic: str) -> str:
    if not topic or len(topic.encode()) > MAX_TOPIC_BYTES:
        raise ValueError(f"a topic has 1 to {MAX_TOPIC_BYTES} bytes")
    return topic


def milliseconds(seconds: Optional[float]) -> Optional[int]:
    if seconds is None:
        return None
    if seconds <= 0:
        raise ValueError("a timeout is above 0 seconds")
    return max(1, round(seconds * 1000))


def outcome(reply: Dict[str, Any], member: str) -> Any:
    """What a reply says. RequestError."""
    error = reply.get("error")
    if error is None:
        return reply.get(member)
    raise (RequestTimeoutError if error == "timeout" else RequestError)(error)


class Lines:
    """Bytes in, lines out."""

    def __init__(self) -> None:
        self._pieces: bytearray = bytearray()
        self._searched = 0

    def add(self, data: bytes) -> None:
        self._pieces += data

    def __iter__(self) -> Iterator[Dict[str, Any]]:
        while True:
            end = self._pieces.find(b"\n", self._searched)
            if end < 0:
                self._searched = len(self._pieces)
                return
            line = bytes(self._pieces[:end])
            del self._pieces[: end + 1]
            self._searched = 0
            yield json.loads(line)


def message_of(received: Any, answer: Callable[..., Any]) -> Message:
    """Of anything but a reply."""
    command = received.get("cluster") if isinstance(received, dict) else None
    if command == "message":
        return Message("message", received["data"], received.get("from"), received.get("topic"))
    if command == "request":
        number = received["id"]
        return Message("request", received["data"], received.get("from"), None,
                       lambda **fields: answer(number, **fields))
    if command == "dropped":
        return Message("dropped", received["count"])
    if command == "stopping":
        return Message("stopping", received["grace_ms"])
    return Message("application", received)


class Channel:
    """Blocking. Every method raises ChannelClosedError once clusterd has closed the channel; TypeError and ValueError for
    what JSON cannot hold."""

    def __init__(self) -> None:
        self._socket = open_socket()
        self._lines = Lines()
        self._messages: Deque[Message] = deque()
        self._replies: Dict[int, Dict[str, Any]] = {}
        self._last_id = 0
        self._is_closed = False

    def fileno(self) -> int:
        """To wait on by select or poll. Call receive(0) until it gives None before waiting again."""
        return self._socket.fileno()

    def send(self, to: str, data: Any, raw: bool = False) -> None:
        """To all that the selector names: "api.2", "api", "@site", "all", globs. `raw`: without the envelope."""
        self._write(encode("send", to=to, data=data, raw=raw or None))

    def publish(self, topic: str, data: Any, raw: bool = False) -> None:
        """To all subscribers of the topic, once each."""
        self._write(encode("publish", topic=topic_of(topic), data=data, raw=raw or None))

    def request(self, to: str, data: Any, timeout: Optional[float] = None) -> Any:
        """The reply of one that the selector names. What else comes meanwhile waits for receive(). RequestError;
        RequestTimeoutError after `timeout` seconds, or what [channel] request_timeout says."""
        return outcome(self._ask("request", to=to, data=data, timeout_ms=milliseconds(timeout)), "data")

    def subscribe(self, topic: str) -> None:
        """`*`, `?` and `[…]` make a pattern. RequestError: there are 64 already."""
        outcome(self._ask("subscribe", topic=topic_of(topic)), "value")

    def unsubscribe(self, topic: str) -> bool:
        """Whether there was one with the same text."""
        return outcome(self._ask("unsubscribe", topic=topic_of(topic)), "value") is True

    def ready(self) -> None:
        """This worker is ready (`ready = "channel"`)."""
        self._write(encode("ready"))

    def status(self, text: str) -> None:
        """A line for `clusterctl status`."""
        self._write(encode("status", text=str(text)))

    def heartbeat(self) -> None:
        self._write(encode("heartbeat"))

    def receive(self, timeout: Optional[float] = None) -> Optional[Message]:
        """The next message; None when none has come within `timeout` seconds (None: waits for ever)."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._messages:
            if not self._read(deadline):
                return None
        return self._messages.popleft()

    def __iter__(self) -> Iterator[Message]:
        """Until clusterd closes the channel."""
        while True:
            try:
                message = self.receive()
            except ChannelClosedError:
                return
            assert message is not None
            yield message

    def _write(self, line: bytes) -> None:
        rest = memoryview(line)
        while rest:
            try:
                rest = rest[self._socket.send(rest, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL):]
            except BlockingIOError:
                poller = select.poll()
                poller.register(self._socket, select.POLLOUT)
                poller.poll()
            except OSError:
                raise closed() from None

    def _ask(self, command: str, **fields: Any) -> Dict[str, Any]:
        self._last_id = number = self._last_id + 1
        self._write(encode(command, id=number, **fields))
        while number not in self._replies:
            self._read(None)
        return self._replies.pop(number)

    def _answer(self, number: int, **fields: Any) -> None:
        self._write(encode("reply", id=number, **fields))

    def _read(self, deadline: Optional[float]) -> bool:
        """Takes in what is there, or comes first. False: nothing until the deadline."""
        if self._is_closed:
            raise closed()
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        left = None if deadline is None else max(0, (deadline - time.monotonic()) * 1000)
        if not poller.poll(left):
            return False
        try:
            data = self._socket.recv(READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        except OSError:
            data = b""
        if not data:
            self._is_closed = True
            raise closed()
        self._lines.add(data)
        for received in self._lines:
            if isinstance(received, dict) and received.get("cluster") == "reply":
                if received["id"] == self._last_id:  # else nobody waits for it any more
                    self._replies[self._last_id] = received
            else:
                self._messages.append(message_of(received, self._answer))
        return True


_channel: Optional[Channel] = None


def channel() -> Channel:
    """The channel of this process, opened at the first call. NoChannelError."""
    global _channel
    if _channel is None:
        _channel = Channel()
    return _channel
