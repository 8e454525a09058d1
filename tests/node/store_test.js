'use strict';
// The npm package over a real store. `node store_test.js CASE` under with_store, which gives each case a new store of 12 MiB,
// 64 counters, 8 participants, 4 striped counters. NODE_PATH says where the package is.

const assert = require('assert/strict');
const { spawn, spawnSync } = require('child_process');
const { Worker, isMainThread, workerData } = require('worker_threads');
const fs = require('fs');

const address = () => {
  const [, fd, inode, generation] = process.env.CLUSTER_STORE.split(':');
  return { fd: Number(fd), inode, generation };
};

/** Starts a program in another process that has the store. Its descriptor is 3 there. */
function other(program, ...args) {
  const { fd, inode, generation } = address();
  return spawn(process.execPath, ['-e', program, ...args], {
    stdio: ['ignore', 'pipe', 'inherit', fd],
    env: { ...process.env, CLUSTER_STORE: `v1:3:${inode}:${generation}` },
  });
}

function ended(child) {
  return new Promise((resolve) => {
    let text = '';
    child.stdout.on('data', (piece) => { text += piece; });
    child.on('close', (code, signal) => resolve({ code, signal, text }));
  });
}

/** What the first use of the package says in a process with this environment. */
function attempt(variable, stdio = []) {
  const program = `const c = require('clusterd');
    try { c.counter('n'); console.log('opened'); } catch (e) {
      console.log(e instanceof c.OpenError, e.name, e.code, e.errno, e.message); }`;
  const env = { ...process.env };
  delete env.CLUSTER_STORE;
  if (variable !== undefined) env.CLUSTER_STORE = variable;
  return String(spawnSync(process.execPath, ['-e', program],
    { env, stdio: ['ignore', 'pipe', 'inherit', ...stdio] }).stdout);
}

const cases = {};

cases.outside_of_clusterd = () => {
  assert.match(attempt(undefined), /^true NoStoreError ERR_CLUSTERD_NO_STORE 107 .*clusterctl start/);
};

cases.wrong_addresses = () => {
  const { fd, inode, generation } = address();
  assert.equal(attempt(`v1:3:${inode}:${generation}`, [fd]), 'opened\n');
  assert.match(attempt('v1:x'), /^true AddressError ERR_CLUSTERD_ADDRESS 22 /);
  const another = BigInt(generation) ^ 1n;
  assert.match(attempt(`v1:3:${inode}:${another}`, [fd]), /^true NotTheStoreError ERR_CLUSTERD_NOT_THE_STORE 9 /);
  // child_process closes what it is not told of, and there is no CLUSTER_SOCKET to ask.
  assert.match(attempt(`v1:${fd}:${inode}:${generation}`), /^true NotTheStoreError/);
  assert.match(attempt(`v1:3:${inode}:${generation}`, [fs.openSync('/dev/null', 'r+')]), /^true NotTheStoreError/);
};

cases.another_layout_version = () => {
  const { fd, inode, generation } = address();
  fs.writeSync(fd, Buffer.from([2, 0, 0, 0]), 0, 4, 8);
  assert.match(attempt(`v1:3:${inode}:${generation}`, [fd]), /^true LayoutVersionError ERR_CLUSTERD_LAYOUT_VERSION 93 /);
};

cases.reading_only = () => {
  const clusterd = require('clusterd');
  const writer = other("const c = require('clusterd'); c.table.set('k', 'v'); c.counter('n').add(5)");
  return ended(writer).then(() => {
    clusterd.open({ readOnly: true });
    assert.equal(clusterd.table.getString('k'), 'v');
    assert.equal(clusterd.counter('n').get(), 5);
    const readOnly = { name: 'ReadOnlyError', code: 'ERR_CLUSTERD_READ_ONLY' };
    assert.throws(() => clusterd.table.set('k', 'w'), readOnly);
    assert.throws(() => clusterd.table.delete('k'), readOnly);
    assert.throws(() => clusterd.counter('n').add(), readOnly);
    assert.throws(() => clusterd.counter('n').array, readOnly);
    assert.throws(() => clusterd.counter('m'), readOnly);
    assert.throws(() => clusterd.join(), readOnly);
  });
};

cases.counters = () => {
  const clusterd = require('clusterd');
  const hits = clusterd.counter('hits');
  assert.equal(hits.get(), 0);
  assert.equal(hits.add(), 1);
  assert.equal(hits.add(-5), -4);
  assert.equal(hits.add(10n), 6n);
  hits.set(40);
  assert.equal(hits.exchange(41), 40);
  assert.equal(hits.compareExchange(7, 9), 41);
  assert.equal(hits.compareExchange(41n, 9n), 41n);
  assert.equal(hits.get(), 9);
  assert.equal(hits.getBigInt(), 9n);
  assert.equal(clusterd.counter('hits'), hits);
  assert.deepEqual([...clusterd.counters()], [{ name: 'hits', striped: false, value: 9n }]);
};

cases.numbers_beyond_a_number = () => {
  const clusterd = require('clusterd');
  const edge = clusterd.counter('edge');
  edge.set(BigInt(Number.MAX_SAFE_INTEGER));
  assert.equal(edge.get(), Number.MAX_SAFE_INTEGER);
  const range = { name: 'NumberRangeError', code: 'ERR_CLUSTERD_NUMBER_RANGE' };
  assert.throws(() => edge.add(1), range);
  assert.throws(() => edge.get(), range);
  assert.equal(edge.getBigInt(), 2n ** 53n);
  edge.set(2n ** 63n - 1n);
  assert.equal(edge.add(1n), -(2n ** 63n));
  for (const wrong of [0.5, NaN, Infinity, 2 ** 53, 2n ** 63n]) assert.throws(() => edge.add(wrong), range);
  for (const wrong of ['1', null, {}]) assert.throws(() => edge.add(wrong), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.equal(edge.getBigInt(), -(2n ** 63n));
};

cases.striped_counters = () => {
  const clusterd = require('clusterd');
  const many = clusterd.stripedCounter('many');
  for (let i = 0; i < 1000; ++i) many.add(2);
  assert.equal(many.add(), undefined);
  assert.equal(many.get(), 2001);
  assert.equal(many.getBigInt(), 2001n);
  const wrong = { name: 'WrongTypeError', code: 'ERR_CLUSTERD_WRONG_TYPE' };
  assert.throws(() => clusterd.counter('many'), wrong);
  clusterd.counter('exact');
  assert.throws(() => clusterd.stripedCounter('exact'), wrong);
};

cases.counter_names = () => {
  const clusterd = require('clusterd');
  for (const wrong of ['', 'x'.repeat(129), 'é'.repeat(65), 'zero\0byte', 'half \ud800', '\udc00']) {
    assert.throws(() => clusterd.counter(wrong), { name: 'NameError', code: 'ERR_CLUSTERD_NAME' });
  }
  assert.throws(() => clusterd.counter(5), TypeError);
  assert.equal(clusterd.counter('schäfchen 🐑').add(3), 3);
  assert.equal([...clusterd.counters()][0].name, 'schäfchen 🐑');
};

cases.counter_table_full = () => {
  const clusterd = require('clusterd');
  for (let i = 0; i < 64; ++i) clusterd.counter(`n${i}`);
  assert.throws(() => clusterd.counter('one too many'),
    { name: 'CountersFullError', code: 'ERR_CLUSTERD_COUNTERS_FULL', message: /\[store\] counters/ });
};

cases.table = () => {
  const { table } = require('clusterd');
  assert.equal(table.get('k'), undefined);
  assert.equal(table.has('k'), false);
  assert.equal(table.set('k', 'vé'), table);
  assert.deepEqual(table.get('k'), Buffer.from('vé'));
  assert.equal(table.getString(Buffer.from('k')), 'vé');
  const into = new Uint8Array(2);
  assert.equal(table.getInto('k', into), 3);
  assert.deepEqual([...into], [0x76, 0xc3]);
  assert.equal(table.getInto('none', into), undefined);
  assert.equal(table.add('k', 'other'), false);
  assert.equal(table.replace('none', 'v'), false);
  assert.equal(table.replace('k', ''), true);
  assert.deepEqual(table.get('k'), Buffer.alloc(0));
  assert.equal(table.add('n', '5'), true);
  assert.equal(table.incr('n'), 6);
  assert.equal(table.incr('n', -10), -4);
  assert.equal(table.incr('n', 2n ** 62n), 2n ** 62n - 4n);
  assert.equal(table.size, 2);
  assert.deepEqual([...table.keys()].map(String).sort(), ['k', 'n']);
  assert.deepEqual([...table].map(([key, value]) => `${key}=${value}`).sort(), ['k=', 'n=4611686018427387900']);
  assert.deepEqual([...table.values()].map(String).sort(), ['', '4611686018427387900']);
  assert.deepEqual(table.getdel('n'), Buffer.from('4611686018427387900'));
  assert.equal(table.getdel('n'), undefined);
  assert.equal(table.delete('k'), true);
  assert.equal(table.delete('k'), false);
  table.set(new Uint8Array([0, 255]), new DataView(new ArrayBuffer(4)));
  assert.deepEqual(table.get(Buffer.from([0, 255])), Buffer.alloc(4));
  table.clear();
  assert.equal(table.size, 0);
};

cases.table_tokens = () => {
  const { table } = require('clusterd');
  assert.equal(table.entry('k'), undefined);
  assert.equal(table.cas('k', 'v', 1n), undefined);
  table.set('k', 'one');
  const { value, token, ttl } = table.entry('k');
  assert.deepEqual([String(value), ttl], ['one', undefined]);
  const newer = table.cas('k', 'two', token);
  assert.equal(typeof newer, 'bigint');
  assert.equal(table.cas('k', 'three', token), undefined);
  assert.equal(table.cas('k', 'three', newer + 2n ** 64n), undefined);
  assert.equal(table.getString('k'), 'two');
  assert.throws(() => table.cas('k', 'v', 5), { code: 'ERR_INVALID_ARG_TYPE' });
};

cases.table_limits = () => {
  const clusterd = require('clusterd');
  const { table } = clusterd;
  const key = 'é'.repeat(512);
  const value = require('crypto').randomBytes(clusterd.MAX_VALUE_BYTES);
  table.set(key, value);
  assert(table.get(key).equals(value));
  assert(table.getdel(key).equals(value));
  table.set('text', 'é'.repeat(100000));
  assert.equal(table.getString('text'), 'é'.repeat(100000));
  for (const length of [4090, 4091, 4092, 4093, 4094, 4095, 4096, 4097]) {
    table.set('edge', 'x'.repeat(length));
    assert.equal(table.getString('edge'), 'x'.repeat(length));
    table.set('edge', 'é'.repeat(length / 2));
    assert.equal(table.getString('edge'), 'é'.repeat(length / 2));
  }
  assert.throws(() => table.set(key, Buffer.concat([value, Buffer.alloc(1)])),
    { name: 'ValueSizeError', code: 'ERR_CLUSTERD_VALUE_SIZE' });
  for (const wrong of ['', key + 'x', 'x'.repeat(10000), Buffer.alloc(0), Buffer.alloc(1025)]) {
    assert.throws(() => table.set(wrong, ''), { name: 'NameError' });
    assert.throws(() => table.get(wrong), { name: 'NameError' });
    assert.throws(() => table.delete(wrong), { name: 'NameError' });
  }
  for (const wrong of [5, null, undefined, {}, []]) {
    assert.throws(() => table.set(wrong, ''), TypeError);
    assert.throws(() => table.set('k', wrong), TypeError);
  }
  assert.throws(() => table.getInto('text', 5), TypeError);
  table.set('word', 'text');
  assert.throws(() => table.incr('word'), { name: 'WrongTypeError' });
  table.set('number', String(2n ** 63n - 1n));
  assert.throws(() => table.incr('number'), { name: 'NumberRangeError' });
  assert.equal(table.getString('number'), String(2n ** 63n - 1n));
};

cases.table_time_to_live = async () => {
  const { table } = require('clusterd');
  table.set('long', 'v', { ttl: 3600_000 });
  const { ttl } = table.entry('long');
  assert(ttl > 3500_000 && ttl <= 3600_000, ttl);
  table.set('ever', 'v', { ttl: Infinity });
  assert.equal(table.entry('ever').ttl, undefined);
  for (const wrong of [0, -1, NaN, 'soon', null]) {
    assert.throws(() => table.set('k', 'v', { ttl: wrong }), RangeError);
  }
  const begin = process.hrtime.bigint();
  const ms = () => Number((process.hrtime.bigint() - begin) / 1000000n);
  table.set('short', 'v', { ttl: 100 });
  while (table.has('short') && ms() < 60_000) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(table.has('short'), false);
  assert(ms() >= 80, ms());
};

cases.table_full = () => {
  const { table } = require('clusterd');
  const value = Buffer.alloc(1000);
  let keys = 0;
  assert.throws(() => { for (; keys < 20000; ++keys) table.set(`key ${keys}`, value); },
    { name: 'StoreFullError', code: 'ERR_CLUSTERD_FULL', message: /\[store\] size/ });
  assert(keys > 4000);
  assert.equal(table.size, keys);
  table.delete('key 7');
  table.set('key 7', value);
};

cases.statistics = () => {
  const clusterd = require('clusterd');
  clusterd.table.set('key', 'value');
  const stats = clusterd.stats();
  assert.equal(stats.segmentBytes, 12 << 20);
  assert.equal(String(stats.generation), address().generation);
  assert.deepEqual([stats.keys, stats.bytes, stats.countersLimit, stats.participants, stats.participantsLimit], [1, 8, 64, 1, 8]);
  assert.deepEqual([stats.classes.length, stats.classes[0].blockBytes, stats.classes[0].usedBlocks], [48, 64, 1]);
  clusterd.leave();
  assert.equal(clusterd.stats().participants, 0);
  clusterd.join();
  assert.equal(clusterd.stats().participants, 1);
};

cases.arrays_over_the_memory = () => {
  const clusterd = require('clusterd');
  const hits = clusterd.counter('hits');
  assert(hits.array instanceof BigInt64Array);
  assert.equal(hits.array, hits.array);
  assert.equal(hits.array.length, 1);
  assert.equal(Atomics.add(hits.array, 0, 5n), 0n);
  assert.equal(hits.get(), 5);
  hits.set(-1);
  assert.equal(Atomics.load(hits.array, 0), -1n);
  const cells = clusterd.counterCells();
  assert.equal(cells.length, 64 * 8);
  assert.equal(Atomics.sub(cells, hits.position, 1n), -1n);
  assert.equal(hits.get(), -2);
  // A copy in another thread would count for itself alone.
  if (Number(process.versions.node.split('.')[0]) >= 21) assert.throws(() => structuredClone(cells.buffer, { transfer: [cells.buffer] }));
};

/** Adds in four processes at once; `add` is an expression over `counter`. */
async function inFour(add, times) {
  const program = `const counter = require('clusterd').counter('shared'); const array = counter.array;
    for (let i = 0; i < ${times}; ++i) { ${add}; }`;
  const results = await Promise.all([1, 2, 3, 4].map(() => ended(other(program))));
  for (const { code } of results) assert.equal(code, 0);
  return require('clusterd').counter('shared').get();
}

cases.atomics_add_is_shared_by_processes = async () => {
  assert.equal(await inFour('Atomics.add(array, 0, 1n)', 500000), 2000000);
};

cases.methods_are_shared_by_processes = async () => {
  assert.equal(await inFour('counter.add()', 200000), 800000);
};

cases.worker_threads = async () => {
  const clusterd = require('clusterd');
  const run = (times) => new Promise((resolve, reject) => {
    const worker = new Worker(__filename, { workerData: { times } });
    worker.on('error', reject);
    worker.on('exit', resolve);
  });
  for (let round = 0; round < 5; ++round) {
    assert.deepEqual(await Promise.all([1, 2, 3, 4].map(() => run(20000))), [0, 0, 0, 0]);
  }
  assert.equal(clusterd.counter('methods').get(), 400000);
  assert.equal(clusterd.counter('array').get(), 400000);
  assert.equal(clusterd.stripedCounter('striped').get(), 400000);
  assert.equal(clusterd.table.incr('n', 0), 400000);
  // Twenty threads were here, and there are eight places: each has given its own back. The last line took this one.
  assert.equal(clusterd.stats().participants, 1);
};

function inWorkerThread({ times }) {
  const clusterd = require('clusterd');
  const methods = clusterd.counter('methods');
  const { array } = clusterd.counter('array');
  const striped = clusterd.stripedCounter('striped');
  for (let i = 0; i < times; ++i) {
    methods.add();
    Atomics.add(array, 0, 1n);
    striped.add();
    clusterd.table.incr('n');
  }
}

cases.no_place_left = async () => {
  const clusterd = require('clusterd');
  const program = "require('clusterd').join(); const { parentPort } = require('worker_threads');"
    + "parentPort.on('message', () => parentPort.close()); parentPort.postMessage('joined');";
  const workers = await Promise.all([1, 2, 3, 4, 5, 6, 7, 8].map(() => new Promise((resolve, reject) => {
    const worker = new Worker(program, { eval: true });
    worker.on('error', reject);
    worker.on('message', () => resolve(worker));
  })));
  const none = { name: 'NoPlaceError', code: 'ERR_CLUSTERD_NO_PLACE', message: /\[store\] participants/ };
  assert.throws(() => clusterd.join(), none);
  assert.throws(() => clusterd.table.set('k', 'v'), none);
  assert.throws(() => clusterd.stripedCounter('s').add(), none);
  await Promise.all(workers.map((worker) => new Promise((resolve) => {
    worker.on('exit', resolve);
    worker.postMessage('end');
  })));
  clusterd.table.set('k', 'v');
  assert.equal(clusterd.stats().participants, 1);
};

cases.garbage_is_collected_while_it_counts = () => {
  const clusterd = require('clusterd');
  for (let i = 0; i < 200000; ++i) {
    Atomics.add(clusterd.counterCells().subarray(clusterd.counter('n').position), 0, 1n);
    clusterd.table.set('k', Buffer.alloc(100, i));
    clusterd.table.get('k');
  }
  global.gc?.();
  assert.equal(clusterd.counter('n').get(), 200000);
};

cases.as_an_ecmascript_module = async () => {
  const clusterd = await import(require.resolve('clusterd'));
  assert.equal(clusterd.counter('n').add(), 1);
  assert.equal(clusterd.default.table, clusterd.table);
};

cases.it_says_its_version = () => {
  const clusterd = require('clusterd');
  assert.equal(clusterd.version, require('clusterd/package.json').version);
  // Every name that index.d.ts declares is there, and no other.
  const types = fs.readFileSync(require.resolve('clusterd/index.d.ts'), 'utf8');
  const declared = [...types.matchAll(/^export (?:class|function|const) (\w+)/gm)].map((match) => match[1]);
  assert.deepEqual([...new Set(declared)].sort(), Object.keys(clusterd).sort());
};

if (isMainThread) {
  const run = cases[process.argv[2]];
  if (run === undefined) {
    console.error(`no such case; there are: ${Object.keys(cases).join(' ')}`);
    process.exit(2);
  }
  Promise.resolve().then(run).catch((error) => {
    console.error(error);
    process.exit(1);
  });
} else {
  inWorkerThread(workerData);
}
