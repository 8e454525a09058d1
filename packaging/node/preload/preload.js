'use strict';
// Loaded by clusterd into a Node worker before its program (--require in NODE_OPTIONS), so that a reload loses no request.
//
// Told to drain, the process takes no new connection, answers what comes on the ones it has with `Connection: close`, ends
// those that stay silent, and says when none is left. Node's own disconnect cuts idle connections at once, and with them the
// requests that are on their way. Until it is told, it costs nothing but a list of the servers that listen.
//
// Every process that inherits NODE_OPTIONS loads this file. So it acts only where the daemon asked for it by
// CLUSTER_NODE_DRAIN, takes that variable and its own --require out of the environment, keeps no process alive and no
// program from ending. The messages are in lib/nodecluster/NODECLUSTER.md; Node itself hides those named NODE_ from programs.

const IDLE_MS = 1000;        // what DRAIN may say otherwise: silence after which a connection is ended
const PASSES_PER_IDLE = 4;   // how finely that is measured

if (isAsked()) main();

/** True once, in the process that clusterd started. What it starts itself gets an environment without the request. */
function isAsked() {
  const { CLUSTER_NODE_DRAIN: asked, NODE_OPTIONS: options = '' } = process.env;
  if (asked === undefined) return false;
  delete process.env.CLUSTER_NODE_DRAIN;
  const rest = options.replace(/--require "((?:[^"\\]|\\.)*)" ?/g, (token, path) => isThisFile(path) ? '' : token);
  if (rest.trim() === '') delete process.env.NODE_OPTIONS;
  else process.env.NODE_OPTIONS = rest;
  return asked === '1' && process.connected === true && typeof process.send === 'function';
}

function isThisFile(quoted) {
  const { realpathSync } = require('fs');
  try {
    return realpathSync(quoted.replace(/\\(.)/g, '$1')) === realpathSync(__filename);
  } catch {
    return false;
  }
}

function main() {
  const send = process.send.bind(process);
  // With a callback, a channel that has closed meanwhile is no error of the program.
  const tell = (message) => send(message, undefined, undefined, () => {});
  const { listen, close } = require('net').Server.prototype;

  const listening = new Set();  // of WeakRef: whatever was told to listen and may still exist
  const gone = new FinalizationRegistry((reference) => listening.delete(reference));
  const known = new WeakSet();
  let drain;

  require('net').Server.prototype.listen = function (...args) {
    if (!known.has(this)) {
      known.add(this);
      const reference = new WeakRef(this);
      listening.add(reference);
      gone.register(this, reference);
      watchSessions(this);
    }
    drain?.add(this);
    return listen.apply(this, args);
  };

  // This event, unlike 'message', keeps no process alive.
  process.on('internalMessage', (message) => {
    if (message?.cmd !== 'NODE_CLUSTERD_DRAIN' || drain !== undefined) return;
    drain = new Drain(close, positive(message.idle_ms) ?? IDLE_MS, (left) => tell({ cmd: 'NODE_CLUSTERD_DRAINED', left }));
    for (const reference of listening) drain.add(reference.deref());
    drain.begin(positive(message.grace_ms));
  });
  tell({ cmd: 'NODE_CLUSTERD_HELLO', drain: true, node: process.version });
}

function positive(value) {
  return Number.isFinite(value) && value > 0 ? value : undefined;
}

class Drain {
  #close;           // net.Server's
  #idleMs;
  #report;
  #servers = new Set();   // those of which a connection may be left
  #silence = new WeakMap();  // socket -> { bytes, passes }: what it had sent, and for how many passes it sent no more
  #hasBegun = false;
  #isReported = false;

  constructor(close, idleMs, report) {
    this.#close = close;
    this.#idleMs = idleMs;
    this.#report = report;
  }

  /** Takes over a server; one that is still on its way to listen when it gets there, and has told so. */
  add(server) {
    if (server === undefined) return;
    if (server.listening) this.#shut(server);
    else server.once('listening', () => process.nextTick(() => this.#shut(server)));
  }

  begin(graceMs) {
    this.#hasBegun = true;
    if (graceMs !== undefined) setTimeout(() => this.#reportWhatIsLeft(), graceMs).unref();
    this.#lookLater();
    this.#reportIfEmpty();
  }

  // --- no new connections

  #shut(server) {
    if (!server.listening || this.#servers.has(server)) return;
    this.#servers.add(server);
    server.once('close', () => {
      this.#servers.delete(server);
      this.#reportIfEmpty();
    });
    for (const event of ['request', 'checkContinue', 'checkExpectation']) {
      // Where nobody listens to the latter two, Node answers them itself.
      if (server.listenerCount(event) > 0) server.prependListener(event, (request, response) => answerLast(response));
    }
    for (const socket of httpSocketsOf(server) ?? []) {
      this.#silence.set(socket, { bytes: socket.bytesRead, passes: 0 });
      if (socket._httpMessage) answerLast(socket._httpMessage);
      // Silence is measured here from now on. Node's own timer (keepAliveTimeout) would cut who has written while the process was
      // busy: up to 18 it is asked before what has come is read. With the next request Node sets the server's own again.
      else if (socket.timeout !== server.timeout) socket.setTimeout(0);
    }
    for (const session of sessions.get(server) ?? []) session.close();
    // The program may close it too, and is not to be told that it does not run.
    const ownClose = server.close;
    server.close = function (callback) {
      if (typeof callback === 'function') this.once('close', () => callback.call(this));
      return ownClose.call(this);
    };
    // Of net: what http makes of it would cut idle connections.
    this.#close.call(server);
  }

  // --- the end of silent connections

  /** An immediate after the timer: what came while the process was busy has been read by then. */
  #lookLater() {
    setTimeout(() => setImmediate(() => {
      for (const server of this.#servers) this.#endSilent(server);
      if (!this.#isReported) this.#lookLater();
    }), Math.ceil(this.#idleMs / PASSES_PER_IDLE)).unref();
  }

  #endSilent(server) {
    const sockets = httpSocketsOf(server);
    // A Node that keeps them elsewhere: this ends some of them sooner, but only such as have nothing under way.
    if (sockets === undefined) return void server.closeIdleConnections?.();
    for (const socket of sockets) {
      const known = this.#silence.get(socket);
      const isSilent = known !== undefined && known.bytes === socket.bytesRead && !socket._httpMessage;
      const passes = isSilent ? known.passes + 1 : 0;
      this.#silence.set(socket, { bytes: socket.bytesRead, passes });
      // Not end(): a request that arrives after it would be carried out, and could not be answered.
      if (passes >= PASSES_PER_IDLE) socket.destroy();
    }
  }

  // --- what is said

  #reportIfEmpty() {
    if (this.#hasBegun && this.#servers.size === 0) this.#say({ requests: 0, upgraded: 0, other: 0 });
  }

  async #reportWhatIsLeft() {
    const left = { requests: 0, upgraded: 0, other: 0 };
    for (const server of this.#servers) {
      const count = await new Promise((resolve) => server.getConnections((error, all) => resolve(error ? 0 : all)));
      const sockets = httpSocketsOf(server);
      const requests = sockets?.filter((socket) => socket._httpMessage).length ?? 0;
      left.requests += requests;
      // A connection that was upgraded is none of HTTP's any more.
      const upgraded = sockets === undefined ? 0 : Math.max(0, count - sockets.length);
      left.upgraded += upgraded;
      left.other += Math.max(0, count - requests - upgraded);
    }
    this.#say(left);
  }

  #say(left) {
    if (this.#isReported) return;
    this.#isReported = true;
    this.#report(left);
  }
}

/** Makes an answer the last one of its connection, if its header is not on its way yet. */
function answerLast(response) {
  if (response.headersSent || typeof response.writeHead !== 'function') return;
  response.shouldKeepAlive = false;
  const { writeHead } = response;
  response.writeHead = function (...args) {
    const result = writeHead.apply(this, args);
    // A program that says otherwise itself, as proxies do.
    if (this._last === false && this.statusCode >= 200 && typeof this._header === 'string') {
      this._header = this._header.replace(/^connection: *keep-alive *$/im, 'Connection: close');
      this._last = true;
    }
    return result;
  };
}

/** The sockets that are HTTP's at the moment, of TLS the outer ones; undefined where that cannot be known. */
function httpSocketsOf(server) {
  const key = Object.getOwnPropertySymbols(server).find(({ description }) => description === 'http.server.connections');
  const list = key && server[key];
  if (typeof list?.all !== 'function') return undefined;
  return list.all().map(({ socket }) => socket).filter((socket) => socket && !socket.destroyed);
}

/** HTTP/2 has a message of its own for this (GOAWAY), which a session sends when it is closed. */
const sessions = new WeakMap();  // server -> Set of sessions

function watchSessions(server) {
  if (typeof server.updateSettings !== 'function') return;  // only servers of HTTP/2 have it
  const open = new Set();
  sessions.set(server, open);
  server.on('session', (session) => {
    open.add(session);
    session.once('close', () => open.delete(session));
  });
}
