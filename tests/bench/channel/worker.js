'use strict';
// The same worker under clusterd and under primary.js: does what a message asks for, and writes what it
// measured into a file of its own. argv: directory.

const fs = require('fs');
const directory = process.argv[2];

const now = () => Number(process.hrtime.bigint());
const body = { type: 'updateCounter', increment: 1, pad: '' };
body.pad = 'x'.repeat(100 - JSON.stringify(body).length);
/** As long, and no two are the same. */
const numbered = { type: 'updateCounter', increment: 1, number: 1000000, pad: '' };
numbered.pad = 'x'.repeat(100 - JSON.stringify(numbered).length);

function report(result) {
  const file = `${directory}/${process.pid}.json`;
  fs.writeFileSync(`${file}.new`, JSON.stringify(result));
  fs.renameSync(`${file}.new`, file);
}

let onReply = () => {};

/** So many messages without a pause, and a question behind them: its answer says that all were taken. */
function flood(count, message) {
  const begin = now();
  onReply = () => report({ begin, end: now(), count });
  for (let i = 0; i < count; ++i) {
    if (message === numbered) ++numbered.number;
    process.send(message);
  }
  process.send({ cluster: 'counter', key: 'mark', by: 0, id: 1 });
}

/** One question after the other. */
function trips(count) {
  const begin = now();
  let left = count;
  const ask = () => process.send({ cluster: 'counter', key: 'trips', by: 1, id: left });
  onReply = () => {
    if (--left > 0) ask();
    else report({ begin, end: now(), count });
  };
  ask();
}

/** One message to all listeners, so many times, with time to arrive between them. */
function fan(count, topic) {
  const sent = [];
  const next = () => {
    if (sent.length === count) return report({ sent });
    const data = { fan: sent.length, pad: body.pad };
    sent.push(now());
    process.send({ cluster: 'publish', topic, data });
    setTimeout(next, 15);
  };
  next();
}

process.on('message', (message) => {
  if (message.cluster === 'reply') return onReply();
  if (message.go === 'flood') return flood(message.count, body);
  if (message.go === 'numbered') return flood(message.count, numbered);
  if (message.go === 'trips') return trips(message.count);
  if (message.go === 'fan') return fan(message.count, message.topic);
});
process.send('ready');
