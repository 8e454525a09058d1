'use strict';
// Messages between the workers of clusterd, over process.send and process.on('message'): no native
// part. See README.md and channel.d.ts; the messages themselves are in CHANNEL.md of clusterd.

const { EventEmitter } = require('events');

/** What can go wrong here. `code` is stable. */
class ChannelError extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }

  get name() {
    return this.constructor.name;
  }
}
class NoChannelError extends ChannelError {}
class ChannelClosedError extends ChannelError {}
class RequestError extends ChannelError {}
class RequestTimeoutError extends RequestError {}

const MAX_TOPIC_BYTES = 126;
const MAX_TIMEOUT_MS = 2 ** 31 - 1;
const OWN_EVENTS = new Set(['message', 'dropped', 'stopping', 'closed']);

const closed = () => new ChannelClosedError('clusterd has closed the channel', 'ERR_CLUSTERD_CHANNEL_CLOSED');

function requireText(value, what) {
  if (typeof value === 'string' && value !== '') return value;
  throw new TypeError(`${what} must be a text that is not empty`);
}

function requireTopic(value) {
  requireText(value, 'a topic');
  if (Buffer.byteLength(value) <= MAX_TOPIC_BYTES) return value;
  throw new TypeError(`a topic has at most ${MAX_TOPIC_BYTES} bytes`);
}

/** JSON has no undefined: a member of that value would not be there at all. */
function requireData(value) {
  if (value !== undefined && typeof value !== 'function' && typeof value !== 'symbol') return value;
  throw new TypeError('the data of a message must be something that JSON can hold');
}

/** What a pattern of clusterd (*, ?, […]) matches. The daemon delivers once for all that match here. */
function expressionOf(pattern) {
  const source = pattern.replace(/\[(!?)([^\]]+)\]|[\\^$.|+(){}[\]*?]/g, (found, not, set) => {
    if (found === '*') return '[^]*';
    if (found === '?') return '[^]';
    if (set !== undefined) return `[${not ? '^' : ''}${set.replace(/[\\^[]/g, '\\$&')}]`;
    return `\\${found}`;
  });
  try {
    return new RegExp(`^${source}$`, 'u');
  } catch {  // a set such as [z-a], which holds nothing
    return { test: (topic) => topic === pattern };
  }
}

class Channel extends EventEmitter {
  #subscriptions = new Map();  // pattern -> { expression, handlers }
  #waiting = new Map();        // id -> { resolve, reject }
  #answer;
  #nextId = 1;
  #isListening = false;

  constructor() {
    super();
    // Who listens to process keeps it alive: only while somebody waits for something.
    this.on('newListener', (name) => OWN_EVENTS.has(name) && this.#listen());
    this.on('removeListener', () => this.#update());
  }

  /** Whether there is a channel to clusterd, and it is open. */
  get connected() {
    return process.connected === true && process.env.CLUSTER_CHANNEL_FD !== undefined;
  }

  send(to, data, options = {}) {
    this.#post('send', { to: requireText(to, 'the receiver'), data: requireData(data), ...raw(options) });
  }

  publish(topic, data, options = {}) {
    this.#post('publish', { topic: requireTopic(topic), data: requireData(data), ...raw(options) });
  }

  request(to, data, options = {}) {
    const timeout = options.timeout;
    if (timeout !== undefined && !(timeout >= 1 && timeout <= MAX_TIMEOUT_MS)) {
      throw new RangeError(`a timeout is 1 to ${MAX_TIMEOUT_MS} ms`);
    }
    return this.#ask('request', {
      to: requireText(to, 'the receiver'),
      data: requireData(data),
      timeout_ms: timeout === undefined ? undefined : Math.ceil(timeout),
    });
  }

  async subscribe(topic, handler) {
    requireTopic(topic);
    if (typeof handler !== 'function') throw new TypeError('the handler must be a function');
    let known = this.#subscriptions.get(topic);
    if (known === undefined) {
      known = { expression: expressionOf(topic), handlers: new Set() };
      this.#subscriptions.set(topic, known);
      known.asked = this.#ask('subscribe', { topic });
    }
    known.handlers.add(handler);
    try {
      await known.asked;
    } catch (reason) {
      this.#subscriptions.delete(topic);
      this.#update();
      throw reason;
    }
  }

  async unsubscribe(topic, handler) {
    const known = this.#subscriptions.get(topic);
    if (known === undefined) return false;
    if (handler !== undefined && !known.handlers.delete(handler)) return false;
    if (handler !== undefined && known.handlers.size > 0) return true;
    this.#subscriptions.delete(topic);
    await this.#ask('unsubscribe', { topic });
    return true;
  }

  /** One function answers all requests; undefined takes it away. */
  answer(handler) {
    if (handler !== undefined && typeof handler !== 'function') {
      throw new TypeError('the handler must be a function');
    }
    this.#answer = handler;
    if (handler === undefined) this.#update();
    else this.#listen();
  }

  ready() {
    this.#post('ready', {});
  }

  status(text) {
    if (typeof text !== 'string') throw new TypeError('a status must be a text');
    this.#post('status', { text });
  }

  heartbeat() {
    this.#post('heartbeat', {});
  }

  // --- what goes out

  #post(command, fields) {
    if (process.env.CLUSTER_CHANNEL_FD === undefined || typeof process.send !== 'function') {
      throw new NoChannelError(
        'no channel: this process was not started by clusterd in node mode; start it by clusterctl start',
        'ERR_CLUSTERD_NO_CHANNEL');
    }
    if (!process.connected) throw closed();
    // Without a callback, an error of the socket would be thrown out of reach of the program.
    process.send({ cluster: command, ...fields }, undefined, undefined, () => {});
  }

  #ask(command, fields) {
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#listen();
      this.#waiting.set(id, { resolve, reject });
      try {
        this.#post(command, { ...fields, id });
      } catch (reason) {
        this.#waiting.delete(id);
        this.#update();
        reject(reason);
      }
    });
  }

  // --- what comes in

  #onMessage = (message) => {
    switch (message?.cluster) {
      case 'reply': return this.#onReply(message);
      case 'request': return void this.#onRequest(message);
      case 'message': return this.#onData(message);
      case 'dropped': return void this.emit('dropped', message.count);
      case 'stopping': return void this.emit('stopping', message.grace_ms);
      default: return undefined;
    }
  };

  #onReply({ id, data, error }) {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return;
    this.#waiting.delete(id);
    if (error === undefined) waiting.resolve(data);
    else if (error === 'timeout') waiting.reject(new RequestTimeoutError(error, 'ERR_CLUSTERD_TIMEOUT'));
    else waiting.reject(new RequestError(error, 'ERR_CLUSTERD_REQUEST'));
    this.#update();
  }

  async #onRequest({ id, from, data }) {
    if (this.#answer === undefined) return this.#reply(id, { error: 'nobody answers requests here' });
    try {
      const answer = await this.#answer(data, { from });
      this.#reply(id, { data: answer === undefined ? null : answer });
    } catch (reason) {
      this.#reply(id, { error: String(reason?.message ?? reason) });
    }
  }

  /** Nobody is left to be told where the channel has closed meanwhile. */
  #reply(id, fields) {
    if (process.connected) this.#post('reply', { id, ...fields });
  }

  #onData({ topic, from, data }) {
    if (topic === undefined) return this.emit('message', data, { from });
    for (const { expression, handlers } of [...this.#subscriptions.values()]) {
      if (!expression.test(topic)) continue;
      for (const handler of [...handlers]) handler(data, { topic, from });
    }
  }

  #onDisconnect = () => {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(closed());
    this.emit('closed');
    this.#update();
  };

  #listen() {
    if (this.#isListening || typeof process.send !== 'function') return;
    this.#isListening = true;
    process.on('message', this.#onMessage);
    process.once('disconnect', this.#onDisconnect);
  }

  #update() {
    const isWanted = this.#waiting.size > 0 || this.#subscriptions.size > 0 || this.#answer !== undefined ||
      [...OWN_EVENTS].some((name) => this.listenerCount(name) > 0);
    if (isWanted || !this.#isListening) return;
    this.#isListening = false;
    process.off('message', this.#onMessage);
    process.off('disconnect', this.#onDisconnect);
  }
}

function raw(options) {
  return options.raw === true ? { raw: true } : {};
}

const channel = new Channel();

module.exports = channel;
Object.assign(module.exports, { ChannelError, NoChannelError, ChannelClosedError, RequestError, RequestTimeoutError });
