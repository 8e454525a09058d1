'use strict';
// Counting in Node: on an array of its own, on the store's, by the methods of the package, and as it is done without:
// by messages to a primary that answers. Run under with_store; prints lines of JSON.
const { fork, spawn } = require('child_process');

const print = (name, workers, ns) => console.log(JSON.stringify(
  { group: 'node', name, workers, ns, per_second: Math.round(workers * 1e9 / ns) }));
const median = (numbers) => [...numbers].sort((a, b) => a - b)[numbers.length >> 1];
const cpuNs = () => { const { user, system } = process.cpuUsage(); return (user + system) * 1000; };

const ADDS = 1000000;
const ROUNDS = 9;
const MESSAGES = 4000;

// One function for each, so that each is compiled for the one array that it sees.
function subjects(clusterd) {
  const own = new BigInt64Array(8);
  const counter = clusterd.counter('bench');
  const { array } = counter;
  const { table } = clusterd;
  const value = Buffer.alloc(64, 'v');
  const into = Buffer.alloc(64);
  table.set('sixteen bytes ok', value);
  return {
    'Atomics.add, array of its own': [ADDS, (n) => { for (let i = 0; i < n; ++i) Atomics.add(own, 0, 1n); }],
    'Atomics.add, counter.array': [ADDS, (n) => { for (let i = 0; i < n; ++i) Atomics.add(array, 0, 1n); }],
    'counter.add()': [ADDS, (n) => { for (let i = 0; i < n; ++i) counter.add(); }],
    'table.getInto(), 64 bytes': [ADDS / 10, (n) => { for (let i = 0; i < n; ++i) table.getInto('sixteen bytes ok', into); }],
    'table.set(), 64 bytes': [ADDS / 10, (n) => { for (let i = 0; i < n; ++i) table.set('sixteen bytes ok', value); }],
  };
}

/** Nanoseconds of each, all of them in turn. */
function measure() {
  const all = Object.entries(subjects(require('clusterd')));
  const times = Object.fromEntries(all.map(([name]) => [name, []]));
  for (let round = -2; round < ROUNDS; ++round) {
    for (const [name, [count, run]] of all) {
      const begin = cpuNs();
      run(count);
      if (round >= 0) times[name].push((cpuNs() - begin) / count);
    }
  }
  return Object.fromEntries(Object.entries(times).map(([name, list]) => [name, median(list)]));
}

/** The same in two processes at once. */
function measureInTwo() {
  const [, fd, inode, generation] = process.env.CLUSTER_STORE.split(':');
  const env = { ...process.env, CLUSTER_STORE: `v1:3:${inode}:${generation}` };
  const one = () => new Promise((resolve) => {
    const child = spawn(process.execPath, [__filename, 'measure'],
      { env, stdio: ['ignore', 'pipe', 'inherit', Number(fd)] });
    let text = '';
    child.stdout.on('data', (piece) => { text += piece; });
    child.on('close', () => resolve(JSON.parse(text)));
  });
  return Promise.all([one(), one()]);
}

/** Each of so many children sends, waits for the answer, and sends again. */
function messages(workers) {
  let total = 0;
  const one = () => new Promise((resolve) => {
    const child = fork(__filename, ['client']);
    child.on('message', ({ add, ns }) => {
      if (ns !== undefined) resolve(ns);
      else child.send(total += add);
    });
  });
  return Promise.all(Array.from({ length: workers }, one));
}

function client() {
  let left = MESSAGES;
  const begin = process.hrtime.bigint();
  process.on('message', () => {
    if (--left > 0) return process.send({ add: 1 });
    process.send({ ns: Number(process.hrtime.bigint() - begin) / MESSAGES });
    return process.disconnect();
  });
  process.send({ add: 1 });
}

async function main() {
  for (const [name, ns] of Object.entries(measure())) print(name, 1, ns);
  const [one, two] = await measureInTwo();
  for (const name of Object.keys(one)) print(name, 2, (one[name] + two[name]) / 2);
  for (const workers of [1, 2]) {
    const rounds = [];
    for (let i = 0; i < 3; ++i) {
      const times = await messages(workers);
      rounds.push(times.reduce((a, b) => a + b) / workers);
    }
    print('process.send with reply', workers, median(rounds));
  }
}

const modes = { measure: () => console.log(JSON.stringify(measure())), client };
(modes[process.argv[2]] ?? main)();
