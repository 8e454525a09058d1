/// <reference types="node" />
import messages = require('./channel');

/** What keys and values are made of: a string is taken as its UTF-8. */
export type Bytes = string | NodeJS.ArrayBufferView;

export interface Expiry {
  /** How long the entry lives, in milliseconds above 0; for ever without it. */
  ttl?: number;
}

/**
 * A number of 64 bits with a sign that all workers share; it wraps around. Every method is one step that no other can come into.
 *
 * Give a Number and get a Number, give a BigInt and get a BigInt. Where the result is beyond what a Number holds exactly
 * (2^53), the Number form throws NumberRangeError; what was asked for is done then.
 */
export class Counter {
  private constructor();
  readonly name: string;
  /** Adds (1 if nothing is said) and returns the new value. */
  add(amount?: number): number;
  add(amount: bigint): bigint;
  get(): number;
  getBigInt(): bigint;
  set(value: number | bigint): void;
  /** Sets it and returns what it was. */
  exchange(value: number): number;
  exchange(value: bigint): bigint;
  /** Sets it to `desired` if it is `expected`. Returns what it was. */
  compareExchange(expected: number, desired: number | bigint): number;
  compareExchange(expected: bigint, desired: number | bigint): bigint;
  /**
   * The counter as an array of one element over the shared memory itself: `Atomics.add(counter.array, 0, 1n)` is one
   * instruction, shared by all processes. Throws NoViewError where the runtime permits no such array (Electron).
   */
  readonly array: BigInt64Array;
  /** Its place in `counterCells()`. */
  readonly position: number;
}

/** A counter for much counting by many: every thread adds to a cell of its own, and reading sums them. */
export class StripedCounter {
  private constructor();
  readonly name: string;
  add(amount?: number | bigint): void;
  get(): number;
  getBigInt(): bigint;
}

export interface Entry {
  value: Buffer;
  /** Names this very value, for `cas`. */
  token: bigint;
  /** Milliseconds that it still lives; undefined is for ever. */
  ttl: number | undefined;
}

/** Keys of 1 to 1024 bytes, values up to 523,232. Every method about one key is one step that no other can come into. */
export class Table {
  private constructor();
  get(key: Bytes): Buffer | undefined;
  getString(key: Bytes): string | undefined;
  /** Copies the value into the view, as far as it goes, and returns its whole size. The fastest way to read. */
  getInto(key: Bytes, view: NodeJS.ArrayBufferView): number | undefined;
  has(key: Bytes): boolean;
  entry(key: Bytes): Entry | undefined;
  set(key: Bytes, value: Bytes, options?: Expiry): this;
  /** Only where the key is not there. Returns whether it was written. */
  add(key: Bytes, value: Bytes, options?: Expiry): boolean;
  /** Only where it is. Returns whether it was written. */
  replace(key: Bytes, value: Bytes, options?: Expiry): boolean;
  /** Only where the key still has the value that the token names. Returns the new token, or undefined. */
  cas(key: Bytes, value: Bytes, token: bigint, options?: Expiry): bigint | undefined;
  /** Returns whether it was there. */
  delete(key: Bytes): boolean;
  /** Removes the key and returns its value, in one step. */
  getdel(key: Bytes): Buffer | undefined;
  /** Adds to a value that is a decimal number as text; a key that is not there counts as 0. Returns the new number. */
  incr(key: Bytes, delta?: number): number;
  incr(key: Bytes, delta: bigint): bigint;
  /** Counts by looking at all of the table. */
  readonly size: number;
  clear(): void;
  /** In no order. A key that is there all the time comes once; one that comes, goes or changes meanwhile may. */
  keys(): IterableIterator<Buffer>;
  values(): IterableIterator<Buffer>;
  entries(): IterableIterator<[Buffer, Buffer]>;
  [Symbol.iterator](): IterableIterator<[Buffer, Buffer]>;
}

export interface CounterState {
  name: string;
  striped: boolean;
  value: bigint;
}

export interface Stats {
  segmentBytes: number;
  keys: number;
  bytes: number;
  counters: number;
  countersLimit: number;
  participants: number;
  participantsLimit: number;
  unassignedBytes: number;
  settledParticipants: number;
  settledBlocks: number;
  generation: bigint;
  classes: { blockBytes: number; usedBlocks: number; freeBlocks: number }[];
}

/** Opens the store now, to learn early that there is none. Everything else opens it at its first use. */
export function open(options?: { readOnly?: boolean }): void;
/** The counter of that name, made with the value 0 if there is none. */
export function counter(name: string): Counter;
/** The same for one of the kind that is fastest to add to. */
export function stripedCounter(name: string): StripedCounter;
export function counters(): IterableIterator<CounterState>;
/** The numbers of all counters, over the shared memory itself. That of a counter is at its `position`; write nowhere else. */
export function counterCells(): BigInt64Array;
export const table: Table;
/** What is in the store, counted by looking at all of it (about 10 ms for 64 MiB). */
export function stats(): Stats;
/** Takes this thread's place for writing now, so that no later change of it throws NoPlaceError. */
export function join(): void;
/** Gives the place back before the thread ends. The next change takes one again. */
export function leave(): void;
/** Messages; the same as `require('clusterd/channel')`, which works without the native part. */
export const channel: typeof messages;
export const version: string;
export const MAX_KEY_BYTES: number;
export const MAX_VALUE_BYTES: number;

/** What the store can throw. */
export class ClusterdError extends Error {
  /** Stable, `ERR_CLUSTERD_…`. */
  readonly code: string;
  /** The errno that libcluster gave. */
  readonly errno: number;
}
/** The store cannot be opened: one of the five below. */
export class OpenError extends ClusterdError {}
/** This process was not started by clusterd, or its worker says store = false. */
export class NoStoreError extends OpenError {}
/** CLUSTER_STORE does not say what it should. */
export class AddressError extends OpenError {}
/** The descriptor that CLUSTER_STORE names is something else, and there is no CLUSTER_SOCKET to ask. */
export class NotTheStoreError extends OpenError {}
/** The store has another layout version than this package. */
export class LayoutVersionError extends OpenError {}
/** clusterd did not hand the store over at CLUSTER_SOCKET. */
export class AttachError extends OpenError {}
/** Some process has written into the store past libcluster. */
export class CorruptStoreError extends ClusterdError {}
/** Every place for a participant belongs to a living thread. */
export class NoPlaceError extends ClusterdError {}
export class ReadOnlyError extends ClusterdError {}
/** No memory is left in the store. */
export class StoreFullError extends ClusterdError {}
/** The table of counters, or of striped ones, is full. */
export class CountersFullError extends ClusterdError {}
/** A key or a counter's name is empty or too long, or a counter's name is not UTF-8. */
export class NameError extends ClusterdError {}
export class ValueSizeError extends ClusterdError {}
/** The value is no decimal number, or the counter is one of the other kind. */
export class WrongTypeError extends ClusterdError {}
/** A number does not fit 64 bits, or a Number cannot hold it exactly. */
export class NumberRangeError extends ClusterdError {}
/** This runtime permits no array over memory that is not its own. */
export class NoViewError extends ClusterdError {}
