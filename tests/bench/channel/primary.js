'use strict';
// Node's own primary doing what the daemon does for worker.js: counts, answers, passes on to all. Its
// workers have the channel that cluster.fork gives, and each is in a session of its own, as those of
// clusterd are: the kernel gives time to sessions (sched_autogroup). Commands are lines on stdin: the
// object for worker 0, or with "all":true for all of them.
// argv: workers, directory, then the command of a listener and how many of them.

const { fork, spawn } = require('child_process');
const readline = require('readline');

const [workers, directory, listeners, ...command] = process.argv.slice(2);
const state = { globalCounter: 0, counters: new Map() };
const nodes = [];
const audience = [];
let waiting = Number(workers) + Number(listeners);

function onMessage(from, message) {
  if (message === 'ready') {
    if (--waiting === 0) console.log('ready');
  } else if (message.type === 'updateCounter') {
    state.globalCounter += message.increment;
  } else if (message.cluster === 'counter') {
    const value = (state.counters.get(message.key) ?? 0) + message.by;
    state.counters.set(message.key, value);
    from.send({ cluster: 'reply', id: message.id, value });
  } else if (message.cluster === 'publish') {
    for (const each of audience) each.send({ cluster: 'message', topic: message.topic, data: message.data });
  }
}

for (let i = 0; i < Number(workers); ++i) {
  const worker = fork(`${__dirname}/worker.js`, [directory], { detached: true });
  worker.on('message', (message) => onMessage(worker, message));
  nodes.push(worker);
}
for (let i = 0; i < Number(listeners); ++i) {
  const words = command.map((word) => (word === 'INDEX' ? String(i) : word));
  const child = spawn(words[0], words.slice(1), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], detached: true });
  child.on('message', (message) => onMessage(child, message));
  audience.push(child);
}
readline.createInterface({ input: process.stdin }).on('line', (line) => {
  const order = JSON.parse(line);
  for (const worker of order.all ? nodes : nodes.slice(0, 1)) worker.send(order);
}).on('close', () => {
  for (const child of audience) child.kill();
  for (const worker of nodes) worker.kill();
  process.exit(0);
});
