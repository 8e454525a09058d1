"""The errors of the store: one class for each, found by the errno that libcluster gives."""

from __future__ import annotations

import errno
from typing import Dict, Type


class Error(Exception):
    """What the store can raise. `errno` is libcluster's; the text says what it means and what to do."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.errno = code

    def __str__(self) -> str:  # KeyError would show its repr
        return str(self.args[0])


class OpenError(Error):
    """The store cannot be opened."""


class NoStoreError(OpenError):
    """This process was not started by clusterd, or its worker says store = false."""


class AddressError(OpenError):
    """CLUSTER_STORE does not say what it should."""


class NotTheStoreError(OpenError):
    """The descriptor that CLUSTER_STORE names is something else, and there is no CLUSTER_SOCKET to ask."""


class LayoutVersionError(OpenError):
    """The store has another layout version than this library."""


class AttachError(OpenError):
    """clusterd did not hand the store over at CLUSTER_SOCKET."""


class CorruptStoreError(Error):
    """Some process has written into the store past libcluster."""


class NoPlaceError(Error):
    """Every place for a participant belongs to a living thread."""


class ReadOnlyError(Error):
    """The store is open for reading only."""


class StoreFullError(Error):
    """No memory is left in the store."""


class CountersFullError(Error):
    """The table of counters, or of striped ones, is full."""


class CounterNameError(Error, ValueError):
    """A counter's name is empty, longer than 128 bytes, or not UTF-8."""


class KeySizeError(Error, ValueError):
    """A key is empty or longer than 1024 bytes."""


class ValueSizeError(Error, ValueError):
    """A value is larger than 523,232 bytes."""


class WrongTypeError(Error, TypeError):
    """The value is no decimal number, or the counter is one of the other kind."""


class NumberRangeError(Error, OverflowError):
    """A number does not fit 64 bits."""


class KeyMissingError(Error, KeyError):
    """No such key."""


class KeyExistsError(Error):
    """The key is there already."""


class StaleTokenError(Error):
    """Somebody has changed the value since the token was read."""


class ChannelError(Error):
    """What messages can raise: one of the four below."""


class NoChannelError(ChannelError):
    """This process was not started by clusterd, or its worker says channel = false."""


class ChannelClosedError(ChannelError):
    """clusterd has closed the channel."""


class RequestError(ChannelError):
    """There is no reply; the text says why: `nobody there`, `it has left`, or what the other one said."""


class RequestTimeoutError(RequestError, TimeoutError):
    """Nobody has replied in time."""


ANY: Dict[int, Type[Error]] = {
    errno.EBADMSG: CorruptStoreError,
    errno.EBUSY: CorruptStoreError,
    errno.EUSERS: NoPlaceError,
    errno.EROFS: ReadOnlyError,
    errno.ENOSPC: StoreFullError,
    errno.EMEDIUMTYPE: WrongTypeError,
}
OPEN: Dict[int, Type[Error]] = {
    errno.EBADMSG: CorruptStoreError,
    errno.ENOTCONN: NoStoreError,
    errno.EINVAL: AddressError,
    errno.EBADF: NotTheStoreError,
    errno.EPROTONOSUPPORT: LayoutVersionError,
    errno.EACCES: AttachError,
    errno.ETIMEDOUT: AttachError,
    errno.ECONNREFUSED: AttachError,
    errno.ECONNRESET: AttachError,
    errno.EPROTO: AttachError,
    errno.ENOENT: AttachError,
}
COUNTER: Dict[int, Type[Error]] = {
    **ANY,
    errno.EINVAL: CounterNameError,
    errno.EILSEQ: CounterNameError,
    errno.ENAMETOOLONG: CounterNameError,
    errno.ENFILE: CountersFullError,
}
TABLE: Dict[int, Type[Error]] = {
    **ANY,
    errno.EINVAL: KeySizeError,
    errno.ENAMETOOLONG: KeySizeError,
    errno.EFBIG: ValueSizeError,
    errno.EOVERFLOW: NumberRangeError,
    errno.ENOENT: KeyMissingError,
    errno.EEXIST: KeyExistsError,
    errno.ESTALE: StaleTokenError,
}
