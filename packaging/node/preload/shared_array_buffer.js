'use strict';
// Loaded by clusterd into the workers of a table that says node_shared_array_buffer = true, before their program (--require in
// NODE_OPTIONS): what `new SharedArrayBuffer(n)` gives is memory of the worker's store, the same for all instances.
//
// Which is the same: the first of n bytes that a program makes is the first of n bytes of every other instance, the second the
// second, for each n by itself. That holds for what a program makes while it starts, always in the same order. So only those count
// that its main thread makes until its first server listens; later ones, and all of worker threads, are Node's own. So are those that
// may grow, for memory of the store does not. LAYOUT.md of clusterd, section "Areas", has the memory.
//
// A Node that cannot do it is told apart here, and ends before its program begins: it would count by itself, unnoticed.

const { CLUSTER_NODE_SHARED_ARRAY_BUFFER: asked, CLUSTER_WORKER: worker, NODE_OPTIONS: options = '' } = process.env;

if (asked !== undefined) {
  // What the program starts is no instance, and asks for nothing.
  delete process.env.CLUSTER_NODE_SHARED_ARRAY_BUFFER;
  const rest = options.replace(/--require "((?:[^"\\]|\\.)*)" ?/g, (token, path) => isThisFile(path) ? '' : token);
  if (rest.trim() === '') delete process.env.NODE_OPTIONS;
  else process.env.NODE_OPTIONS = rest;
  if (asked === '1') main();
}

function isThisFile(quoted) {
  const { realpathSync } = require('fs');
  try {
    return realpathSync(quoted.replace(/\\(.)/g, '$1')) === realpathSync(__filename);
  } catch {
    return false;
  }
}

/** The module for this very version of Node, else the one that asks Node-API. */
function load() {
  const reasons = [];
  for (const name of [`shared_array_buffer.${process.versions.modules}.node`, 'shared_array_buffer.node']) {
    try {
      const native = require(`${__dirname}/${name}`);
      if (native.isAble) return native;
      reasons.push('its Node-API makes none over memory that is not its own');
    } catch (reason) {
      if (reason.code !== 'MODULE_NOT_FOUND') reasons.push(reason.message);
    }
  }
  return end(`this Node (${process.version}, modules ${process.versions.modules}) cannot have SharedArrayBuffer in the store: ` +
    `${reasons.join('; ') || 'clusterd was built without it'}. Use Node 22.23 or later, or a clusterd that was built with the headers ` +
    'of this Node, or node_shared_array_buffer = false');
}

function end(text) {
  process.stderr.write(`clusterd: ${text}\n`);
  process.exit(1);
}

function main() {
  const native = load();
  const Own = globalThis.SharedArrayBuffer;
  const made = new Map();  // bytes -> how many of that size
  let isStarting = true;

  const { listen } = require('net').Server.prototype;
  require('net').Server.prototype.listen = function (...args) {
    if (isStarting) this.once('listening', () => { isStarting = false; });
    return listen.apply(this, args);
  };

  const Shared = new Proxy(Own, {
    construct(target, args, newTarget) {
      const bytes = Math.trunc(Number(args[0]));
      const isOwn = !isStarting || newTarget !== Shared || args[1]?.maxByteLength !== undefined;
      // Node's own, too, where it will complain about the size.
      if (isOwn || !(bytes >= 1)) return Reflect.construct(target, args, newTarget === Shared ? target : newTarget);
      if (bytes > native.maxBytes) {
        throw Object.assign(new RangeError(`SharedArrayBuffer of ${bytes} bytes: one in clusterd's store has at most ${native.maxBytes}`),
          { code: 'ERR_CLUSTERD_AREA_SIZE' });
      }
      const index = made.get(bytes) ?? 0;
      const buffer = native.areaBuffer(`SharedArrayBuffer/${worker}/${bytes}/${index}`, bytes);
      made.set(bytes, index + 1);
      return buffer;
    },
  });
  globalThis.SharedArrayBuffer = Shared;
}
