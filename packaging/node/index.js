'use strict';
// The shared store of clusterd for Node: see README.md and index.d.ts. channel.js has the messages.

const { markAsUntransferable } = require('worker_threads');

const native = load();

function load() {
  const built = `./prebuilds/${process.platform}-${process.arch}/clusterd.node`;
  try {
    return require(built);
  } catch (reason) {
    const error = new Error(
      `clusterd: no native part for ${process.platform}-${process.arch} in this package ` +
        `(${reason.message}); install the one of your clusterd release`);
    error.code = 'ERR_CLUSTERD_NOT_BUILT';
    throw error;
  }
}

// --- errors --------------------------------------------------------------------------------------

/** What the store can throw. `code` is stable, `errno` is libcluster's (positive). */
class ClusterdError extends Error {
  constructor(message, code, errno) {
    super(message);
    this.code = code;
    this.errno = errno;
  }

  get name() {
    return this.constructor.name;
  }
}
class OpenError extends ClusterdError {}
class NoStoreError extends OpenError {}
class AddressError extends OpenError {}
class NotTheStoreError extends OpenError {}
class LayoutVersionError extends OpenError {}
class AttachError extends OpenError {}
class CorruptStoreError extends ClusterdError {}
class NoPlaceError extends ClusterdError {}
class ReadOnlyError extends ClusterdError {}
class StoreFullError extends ClusterdError {}
class CountersFullError extends ClusterdError {}
class NameError extends ClusterdError {}
class ValueSizeError extends ClusterdError {}
class WrongTypeError extends ClusterdError {}
class NumberRangeError extends ClusterdError {}
class NoViewError extends ClusterdError {}

const { constants } = require('os');
const e = constants.errno;
// Numbers that Node does not name.
const EMEDIUMTYPE = 124;
const EUSERS = 87;

const kinds = new Map([
  [e.ENOTCONN, [NoStoreError, 'ERR_CLUSTERD_NO_STORE']],
  [e.EBADF, [NotTheStoreError, 'ERR_CLUSTERD_NOT_THE_STORE']],
  [e.EPROTONOSUPPORT, [LayoutVersionError, 'ERR_CLUSTERD_LAYOUT_VERSION']],
  [e.EACCES, [AttachError, 'ERR_CLUSTERD_ATTACH']],
  [e.ETIMEDOUT, [AttachError, 'ERR_CLUSTERD_ATTACH']],
  [e.ECONNREFUSED, [AttachError, 'ERR_CLUSTERD_ATTACH']],
  [e.ECONNRESET, [AttachError, 'ERR_CLUSTERD_ATTACH']],
  [e.EPROTO, [AttachError, 'ERR_CLUSTERD_ATTACH']],
  [e.ENOENT, [AttachError, 'ERR_CLUSTERD_ATTACH']],  // of a key, it is an answer and no error
  [e.EBADMSG, [CorruptStoreError, 'ERR_CLUSTERD_CORRUPT']],
  [e.EBUSY, [CorruptStoreError, 'ERR_CLUSTERD_CORRUPT']],
  [EUSERS, [NoPlaceError, 'ERR_CLUSTERD_NO_PLACE']],
  [e.EROFS, [ReadOnlyError, 'ERR_CLUSTERD_READ_ONLY']],
  [e.ENOSPC, [StoreFullError, 'ERR_CLUSTERD_FULL']],
  [e.ENFILE, [CountersFullError, 'ERR_CLUSTERD_COUNTERS_FULL']],
  [e.EINVAL, [NameError, 'ERR_CLUSTERD_NAME']],
  [e.ENAMETOOLONG, [NameError, 'ERR_CLUSTERD_NAME']],
  [e.EILSEQ, [NameError, 'ERR_CLUSTERD_NAME']],
  [e.EFBIG, [ValueSizeError, 'ERR_CLUSTERD_VALUE_SIZE']],
  [EMEDIUMTYPE, [WrongTypeError, 'ERR_CLUSTERD_WRONG_TYPE']],
  [e.EOVERFLOW, [NumberRangeError, 'ERR_CLUSTERD_NUMBER_RANGE']],
  [e.ENOTSUP, [NoViewError, 'ERR_CLUSTERD_NO_VIEW']],
]);

let isOpen = false;

native.setErrors((errno, text) => {
  // While it is being opened, the only name in question is that of CLUSTER_STORE.
  const [Kind, code] = !isOpen && errno === e.EINVAL
    ? [AddressError, 'ERR_CLUSTERD_ADDRESS']
    : kinds.get(errno) ?? [ClusterdError, 'ERR_CLUSTERD'];
  return new Kind(text, code, errno);
});

/** Opens the store now; everything else does so at its first use. */
function open(options = {}) {
  if (isOpen) return;
  native.open(options.readOnly === true);
  isOpen = true;
}

// --- counters ------------------------------------------------------------------------------------

let cells;

/** All numbers of the atomic kind, one every eight elements. Write only where `position` says. */
function counterCells() {
  if (cells === undefined) {
    open();
    const buffer = native.counterCells();
    markAsUntransferable(buffer);
    cells = new BigInt64Array(buffer);
  }
  return cells;
}

class Counter {
  #handle;
  #array;

  constructor(handle, name) {
    this.#handle = handle;
    this.name = name;
  }

  add(amount = 1) {
    return native.counterAdd(this.#handle, amount);
  }

  get() {
    return native.counterGet(this.#handle, false);
  }

  getBigInt() {
    return native.counterGet(this.#handle, true);
  }

  set(value) {
    native.counterExchange(this.#handle, value, true);
  }

  exchange(value) {
    return native.counterExchange(this.#handle, value, false);
  }

  compareExchange(expected, desired) {
    return native.counterCompareExchange(this.#handle, expected, desired);
  }

  get position() {
    return native.counterIndex(this.#handle);
  }

  get array() {
    this.#array ??= counterCells().subarray(this.position, this.position + 1);
    return this.#array;
  }
}

class StripedCounter {
  #handle;

  constructor(handle, name) {
    this.#handle = handle;
    this.name = name;
  }

  add(amount = 1) {
    native.counterAdd(this.#handle, amount, true);
  }

  get() {
    return native.counterGet(this.#handle, false);
  }

  getBigInt() {
    return native.counterGet(this.#handle, true);
  }
}

const known = new Map();

function openCounter(name, kind, Kind) {
  const one = known.get(name);
  if (one instanceof Kind) return one;
  if (typeof name === 'string' && !isWellFormed(name)) {
    throw new NameError("a counter's name must be UTF-8: this one has half a surrogate pair",
      'ERR_CLUSTERD_NAME', e.EILSEQ);
  }
  open();
  const made = new Kind(native.counterOpen(name, kind), name);
  known.set(name, made);
  return made;
}

// String.prototype.isWellFormed is there from Node 20 on.
function isWellFormed(text) {
  return !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text);
}

function counter(name) {
  return openCounter(name, 1, Counter);
}

function stripedCounter(name) {
  return openCounter(name, 2, StripedCounter);
}

function* counters() {
  open();
  for (let next = native.counterNext(0); next !== undefined; next = native.counterNext(next[0])) {
    yield { name: next[1], striped: next[2] === 2, value: next[3] };
  }
}

// --- table ---------------------------------------------------------------------------------------

const SET = 0;
const ADD = 1;
const REPLACE = 2;

const CURSOR_BYTES = 32;
const MAX_KEY_BYTES = 1024;
const MAX_VALUE_BYTES = 523232;

class Table {
  get(key) {
    open();
    return native.tableGet(key);
  }

  getString(key) {
    open();
    return native.tableGetString(key);
  }

  getInto(key, view) {
    open();
    return native.tableGetInto(key, view);
  }

  has(key) {
    open();
    return native.tableGetInto(key) !== undefined;
  }

  entry(key) {
    open();
    const found = native.tableEntry(key);
    return found && { value: found[0], token: found[1], ttl: found[2] || undefined };
  }

  set(key, value, options) {
    open();
    native.tableWrite(key, value, options?.ttl, SET);
    return this;
  }

  add(key, value, options) {
    open();
    return native.tableWrite(key, value, options?.ttl, ADD);
  }

  replace(key, value, options) {
    open();
    return native.tableWrite(key, value, options?.ttl, REPLACE);
  }

  cas(key, value, token, options) {
    open();
    return native.tableCompareAndSet(key, value, token, options?.ttl);
  }

  delete(key) {
    open();
    return native.tableDelete(key);
  }

  getdel(key) {
    open();
    return native.tableTake(key);
  }

  incr(key, delta = 1) {
    open();
    return native.tableIncrement(key, delta);
  }

  get size() {
    return stats().keys;
  }

  clear() {
    for (const key of this.keys()) this.delete(key);
  }

  *#walk(capacity) {
    open();
    const cursor = Buffer.alloc(CURSOR_BYTES);
    const value = Buffer.allocUnsafe(capacity);
    for (;;) {
      const next = native.tableNext(cursor, value);
      if (next === undefined) return;
      // A copy: the walk writes the next value over this one.
      yield [next[0], Buffer.from(value.subarray(0, next[1]))];
    }
  }

  * keys() {
    for (const [key] of this.#walk(0)) yield key;
  }

  * values() {
    for (const [, value] of this) yield value;
  }

  entries() {
    return this.#walk(MAX_VALUE_BYTES + MAX_KEY_BYTES);
  }

  [Symbol.iterator]() {
    return this.entries();
  }
}

const table = new Table();

// --- the store -----------------------------------------------------------------------------------

const STATS = ['segmentBytes', 'keys', 'bytes', 'counters', 'countersLimit', 'participants',
  'participantsLimit', 'unassignedBytes', 'settledParticipants', 'settledBlocks', 'generation'];

function stats() {
  open();
  const numbers = native.stats();
  const result = {};
  STATS.forEach((name, i) => { result[name] = numbers[i]; });
  result.classes = [];
  for (let i = STATS.length; i < numbers.length; i += 3) {
    result.classes.push(
      { blockBytes: numbers[i], usedBlocks: numbers[i + 1], freeBlocks: numbers[i + 2] });
  }
  return result;
}

function join() {
  open();
  native.join();
}

function leave() {
  open();
  native.leave();
}

const version = native.version;
const channel = require('./channel');

module.exports = {
  open,
  counter,
  stripedCounter,
  counters,
  counterCells,
  table,
  stats,
  join,
  leave,
  version,
  channel,
  MAX_KEY_BYTES,
  MAX_VALUE_BYTES,
  Counter,
  StripedCounter,
  Table,
  ClusterdError,
  OpenError,
  NoStoreError,
  AddressError,
  NotTheStoreError,
  LayoutVersionError,
  AttachError,
  CorruptStoreError,
  NoPlaceError,
  ReadOnlyError,
  StoreFullError,
  CountersFullError,
  NameError,
  ValueSizeError,
  WrongTypeError,
  NumberRangeError,
  NoViewError,
};
