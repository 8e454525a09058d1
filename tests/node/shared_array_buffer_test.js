'use strict';
// SharedArrayBuffer over the store, by the preload of clusterd. Each case is a process with a store of its own, which starts others
// as the daemon starts instances of a worker.
//
//   node shared_array_buffer_test.js CASE       CLUSTERD_PRELOAD names the preload

const assert = require('assert/strict');
const { spawnSync } = require('child_process');
const fs = require('fs');
const os = require('os');
const path = require('path');

const preload = process.env.CLUSTERD_PRELOAD;
const place = fs.mkdtempSync(path.join(os.tmpdir(), 'shared-'));
process.on('exit', () => fs.rmSync(place, { recursive: true }));

let programs = 0;
/** Runs a program as an instance of a worker; what it says. Node closes what it is not told of, so the store's descriptor is named. */
function instance(text, { worker = 'api', suffix = 'js', options = '' } = {}) {
  const file = path.join(place, `program${programs++}.${suffix}`);
  fs.writeFileSync(file, text);
  const fd = Number(process.env.CLUSTER_STORE.split(':')[1]);
  const stdio = Array.from({ length: fd + 1 }, (_, i) => i < 3 ? 'pipe' : i === fd ? fd : 'ignore');
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], { stdio, encoding: 'utf8',
    env: { ...process.env, CLUSTER_WORKER: worker, CLUSTER_NODE_SHARED_ARRAY_BUFFER: '1',
      NODE_OPTIONS: `--require "${preload}" ${options}`.trim() } });
  return { status, said: stdout.trim(), stderr };
}

const runs = (text, options) => {
  const { status, said, stderr } = instance(text, options);
  assert.equal(status, 0, stderr);
  return said;
};

const cases = {};

cases.shared_memory_is_one = () => {
  const text = `const memory = new Int32Array(new SharedArrayBuffer(8));
    console.log(Atomics.add(memory, 0, 1), Atomics.add(memory, 1, 10));`;
  for (let i = 0; i < 4; i++) assert.equal(runs(text), `${i} ${10 * i}`);
};

cases.shared_memory_is_one_at_a_time = async () => {
  const text = `const memory = new BigInt64Array(new SharedArrayBuffer(8));
    for (let i = 0; i < 200000; i++) Atomics.add(memory, 0, 1n);`;
  const { spawn } = require('child_process');
  const file = path.join(place, 'adds.js');
  fs.writeFileSync(file, text);
  const fd = Number(process.env.CLUSTER_STORE.split(':')[1]);
  const ended = Array.from({ length: 4 }, () => new Promise((resolve) => {
    spawn(process.execPath, [file], { stdio: Array.from({ length: fd + 1 }, (_, i) => i === fd ? fd : 'inherit'),
      env: { ...process.env, CLUSTER_WORKER: 'api', CLUSTER_NODE_SHARED_ARRAY_BUFFER: '1', NODE_OPTIONS: `--require "${preload}"` } })
      .on('exit', resolve);
  }));
  assert.deepEqual(await Promise.all(ended), [0, 0, 0, 0]);
  assert.equal(runs('console.log(String(new BigInt64Array(new SharedArrayBuffer(8))[0]))'), '800000');
};

cases.shared_order_of_the_same_size = () => {
  assert.equal(runs(`const buffers = [4, 16, 4, 4].map((bytes) => new SharedArrayBuffer(bytes));
    buffers.forEach((buffer, i) => { new Int32Array(buffer)[0] = i + 1; });`), '');
  assert.equal(runs(`const buffers = [4, 4, 16, 4, 4].map((bytes) => new SharedArrayBuffer(bytes));
    console.log(buffers.map((buffer) => new Int32Array(buffer)[0]).join());`), '1,3,2,4,0');
};

cases.shared_other_workers_have_their_own = () => {
  const text = `console.log(Atomics.add(new Int32Array(new SharedArrayBuffer(4)), 0, 1));`;
  assert.deepEqual([runs(text), runs(text), runs(text, { worker: 'jobs' })], ['0', '1', '0']);
};

cases.shared_it_is_a_real_one = () => {
  assert.equal(runs(`const assert = require('assert/strict');
    const buffer = new SharedArrayBuffer(12);
    assert.ok(buffer instanceof SharedArrayBuffer);
    assert.ok(require('util').types.isSharedArrayBuffer(buffer));
    assert.equal(buffer.byteLength, 12);
    assert.equal(Object.prototype.toString.call(buffer), '[object SharedArrayBuffer]');
    assert.equal(SharedArrayBuffer.name, 'SharedArrayBuffer');
    assert.equal(SharedArrayBuffer.length, 1);
    assert.deepEqual(Object.keys(globalThis).filter((name) => name === 'SharedArrayBuffer'), []);
    new Int32Array(buffer)[2] = 7;
    const part = buffer.slice(8);
    new Int32Array(buffer)[2] = 8;
    assert.equal(new Int32Array(part)[0], 7);
    assert.throws(() => SharedArrayBuffer(4), TypeError);
    assert.throws(() => new SharedArrayBuffer(-1), RangeError);
    assert.equal(new SharedArrayBuffer(0).byteLength, 0);
    assert.equal(new SharedArrayBuffer('8').byteLength, 8);
    assert.equal(new SharedArrayBuffer(8.9).byteLength, 8);
    class Mine extends SharedArrayBuffer {}
    assert.ok(new Mine(4) instanceof Mine);
    assert.equal(Atomics.wait(new Int32Array(buffer), 0, 0, 1), 'timed-out');
    assert.equal(process.env.NODE_OPTIONS, undefined);
    assert.equal(process.env.CLUSTER_NODE_SHARED_ARRAY_BUFFER, undefined);`), '');
  assert.equal(runs(`import { strict as assert } from 'node:assert';
    await new Promise((resolve) => setTimeout(resolve, 10));
    console.log(new Uint8Array(new SharedArrayBuffer(12))[8]);`, { suffix: 'mjs' }), '8');
};

cases.shared_threads_get_it_posted = () => {
  const text = `const { Worker, isMainThread, workerData } = require('worker_threads');
    if (isMainThread) {
      const memory = new Int32Array(new SharedArrayBuffer(4));
      const threads = [1, 2].map(() => new Promise((resolve) => new Worker(__filename, { workerData: memory }).on('exit', resolve)));
      Promise.all(threads).then(() => console.log(memory[0]));
    } else {
      for (let i = 0; i < 1000; i++) Atomics.add(workerData, 0, 1);
      new Int32Array(new SharedArrayBuffer(4))[0] = 99;  // of the thread alone
    }`;
  assert.deepEqual([runs(text), runs(text)], ['2000', '4000']);
};

cases.shared_only_until_it_listens = () => {
  const text = `require('net').createServer().listen(0, function () {
      const late = new Int32Array(new SharedArrayBuffer(4));
      console.log(Atomics.add(late, 0, 1), Atomics.add(early, 0, 1));
      this.close();
    });
    const early = new Int32Array(new SharedArrayBuffer(4));`;
  assert.deepEqual([runs(text), runs(text)], ['0 0', '0 1']);
};

cases.shared_limits = () => {
  assert.match(runs(`try { new SharedArrayBuffer(2 ** 20); } catch (e) { console.log(e.name, e.code, e.message); }`),
    /^RangeError ERR_CLUSTERD_AREA_SIZE SharedArrayBuffer of 1048576 bytes: one in clusterd's store has at most 524128$/);
  assert.equal(runs(`new Uint8Array(new SharedArrayBuffer(524128)).fill(1); console.log('ok');`), 'ok');
  const full = runs(`let count = 0;
    try { for (;; count++) new SharedArrayBuffer(500000); } catch (e) { console.log(count > 1, e instanceof Error, e.code, e.message); }`);
  assert.match(full, /^true true ERR_CLUSTERD_AREA the store is full/);
};

cases.shared_killed_in_the_middle = () => {
  const text = `const memory = new BigInt64Array(new SharedArrayBuffer(8));
    const before = Number(memory[0]);
    for (let i = 0; i < 1000; i++) Atomics.add(memory, 0, 1n);
    if (before < 3000) process.kill(process.pid, 'SIGKILL');
    console.log(String(memory[0]));`;
  for (let i = 0; i < 3; i++) assert.equal(instance(text).status, null);
  assert.equal(runs(text), '4000');
};

cases.shared_without_a_store = () => {
  const { CLUSTER_STORE: store } = process.env;
  const { status, stderr } = instance(`delete process.env.CLUSTER_STORE; delete process.env.CLUSTER_SOCKET;
    try { new SharedArrayBuffer(4); } catch (e) { console.error(e.code, e.message); process.exit(3); }`);
  assert.ok(store);
  assert.equal(status, 3);
  assert.match(stderr, /^ERR_CLUSTERD_AREA .*clusterctl start/);
};

cases.shared_a_node_that_cannot = () => {
  const other = path.join(place, 'other.js');
  fs.writeFileSync(other, `Object.defineProperty(process.versions, 'modules', { value: '1' });`);
  const { status, said, stderr } = instance(`console.log('began');`, { options: '' });
  assert.deepEqual([status, said], [0, 'began'], stderr);
  const copy = path.join(place, 'shared_array_buffer.js');
  fs.copyFileSync(preload, copy);  // without any module beside it
  const alone = spawnSync(process.execPath, ['-e', `console.log('began')`], { encoding: 'utf8',
    env: { ...process.env, CLUSTER_NODE_SHARED_ARRAY_BUFFER: '1', NODE_OPTIONS: `--require "${copy}"` } });
  assert.equal(alone.status, 1);
  assert.equal(alone.stdout, '');
  assert.match(alone.stderr, /^clusterd: this Node \(v[\d.]+, modules \d+\) cannot have SharedArrayBuffer in the store: .*Use Node 22/);
};

let isDone = false;
process.on('exit', () => {
  if (!isDone) process.exitCode = 1;
});
Promise.resolve(cases[process.argv[2]]()).then(() => { isDone = true; });
