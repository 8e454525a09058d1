'use strict';
// The messages of the npm package. Each case plays the daemon for a child that is a Node worker, and says what the child says
// must be; tests/e2e/channel_bindings_test.cpp has the real daemon.

const assert = require('assert/strict');
const { fork, spawnSync } = require('child_process');
const fs = require('fs');
const path = require('path');

const program = (text) => {
  const file = path.join(fs.mkdtempSync(path.join(require('os').tmpdir(), 'channel-')), 'worker.js');
  fs.writeFileSync(file, `const channel = require('clusterd/channel');\n${text}`);
  process.on('exit', () => fs.rmSync(path.dirname(file), { recursive: true }));
  return file;
};

/** Runs a worker; `daemon(message, reply)` answers what it says. Returns all that it said, and its exit code. */
function work(text, daemon = () => {}) {
  return new Promise((resolve) => {
    const child = fork(program(text), { env: { ...process.env, CLUSTER_CHANNEL_FD: '3' } });
    const said = [];
    child.on('message', (message) => {
      said.push(message);
      daemon(message, (fields) => child.send({ cluster: 'reply', id: message.id, ...fields }), child);
    });
    child.on('exit', (code) => resolve({ said, code }));
  });
}

const cases = {};

cases.channel_outside_of_clusterd = () => {
  const text = `for (const act of [() => channel.send('a', 1), () => channel.ready(), () => channel.publish('t', 1)]) {
      try { act(); } catch (e) { console.log(e instanceof channel.NoChannelError, e.name, e.code, e.message); } }
    channel.request('a', 1).catch((e) => console.log(e.name, channel.connected));`;
  const said = String(spawnSync(process.execPath, [program(text)], { stdio: ['ignore', 'pipe', 'inherit'] }).stdout);
  assert.equal(said.match(/true NoChannelError ERR_CLUSTERD_NO_CHANNEL .*clusterctl start\n/g).length, 3);
  assert.match(said, /NoChannelError false\n$/);
};

cases.channel_what_is_said = async () => {
  const { said, code } = await work(`
    channel.ready(); channel.status('warm'); channel.heartbeat();
    channel.send('api.2', { n: 1 }); channel.send('all', 'x', { raw: true });
    channel.publish('news', null);
    process.disconnect();`);
  assert.equal(code, 0);
  assert.deepEqual(said, [
    { cluster: 'ready' }, { cluster: 'status', text: 'warm' }, { cluster: 'heartbeat' },
    { cluster: 'send', to: 'api.2', data: { n: 1 } }, { cluster: 'send', to: 'all', data: 'x', raw: true },
    { cluster: 'publish', topic: 'news', data: null }]);
};

cases.channel_at_rest_keeps_nothing_alive = async () => {
  const { said, code } = await work(`
    channel.ready();
    channel.on('unknown to the channel', () => {});
    channel.once('stopping', () => {}).removeAllListeners('stopping');`);
  assert.equal(code, 0);
  assert.deepEqual(said, [{ cluster: 'ready' }]);
};

cases.channel_invalid_arguments = async () => {
  const { said, code } = await work(`
    const assert = require('assert');
    for (const wrong of [() => channel.send('', 1), () => channel.send(7, 1), () => channel.send('a', undefined),
      () => channel.publish('t'.repeat(127), 1), () => channel.request('a', () => {}), () => channel.status(1),
      () => channel.answer(1)]) assert.throws(wrong, TypeError);
    assert.throws(() => channel.request('a', 1, { timeout: 0 }), RangeError);
    assert.rejects(channel.subscribe('t'), TypeError).then(() => process.disconnect());`);
  assert.equal(code, 0);
  assert.deepEqual(said, []);
};

cases.channel_requests = async () => {
  const replies = { one: { from: 'b.0', data: [2] }, two: { error: 'timeout' }, three: { error: 'nobody there' } };
  const { said, code } = await work(`
    const assert = require('assert');
    (async () => {
      assert.deepEqual(await channel.request('one', { a: 1 }, { timeout: 500 }), [2]);
      await assert.rejects(channel.request('two', 1), { name: 'RequestTimeoutError', code: 'ERR_CLUSTERD_TIMEOUT' });
      await assert.rejects(channel.request('three', 1), { name: 'RequestError', message: 'nobody there' });
      const open = assert.rejects(channel.request('never', 1), { name: 'ChannelClosedError' });
      process.disconnect();
      await open;
    })();`, (message, reply) => replies[message.to] && reply(replies[message.to]));
  assert.equal(code, 0);
  assert.deepEqual(said[0], { cluster: 'request', to: 'one', data: { a: 1 }, timeout_ms: 500, id: 1 });
};

cases.channel_answers = async () => {
  const { said, code } = await work(`
    channel.answer(async (data, { from }) => {
      if (data === 'bad') throw new Error('no ' + from);
      if (data === 'end') channel.answer(undefined);
      return data === 'end' ? undefined : data * 2;
    });
    channel.ready();`, (message, reply, child) => {
    if (message.cluster !== 'ready') return;
    [21, 'bad', 'end'].forEach((data, i) => child.send({ cluster: 'request', id: i + 5, from: 'x.0', data }));
  });
  assert.equal(code, 0);  // nothing keeps it alive any more
  assert.deepEqual(said.slice(1), [{ cluster: 'reply', id: 5, data: 42 }, { cluster: 'reply', id: 6, error: 'no x.0' },
    { cluster: 'reply', id: 7, data: null }]);
};

cases.channel_topics = async () => {
  const { said, code } = await work(`
    const heard = [];
    const hear = (data, { topic, from }) => heard.push([data, topic, from]);
    (async () => {
      await channel.subscribe('news.*', hear);
      await channel.subscribe('a[0-9]?', hear);
      await require('assert').rejects(channel.subscribe('full', hear), { message: 'too many subscriptions' });
      channel.on('dropped', (count) => heard.push(count));
      channel.once('message', (data) => {
        channel.removeAllListeners('dropped');
        channel.status(JSON.stringify([...heard, data]));
        channel.unsubscribe('news.*').then(() => channel.unsubscribe('a[0-9]?', hear));
      });
      channel.ready();
    })();`, (message, reply, child) => {
    if (message.cluster === 'subscribe') reply(message.topic === 'full' ? { error: 'too many subscriptions' } : { value: true });
    if (message.cluster === 'unsubscribe') reply({ value: true });
    if (message.cluster !== 'ready') return;
    child.send({ type: 'not ours' });
    child.send({ cluster: 'message', topic: 'news.x', from: 'b.1', data: 1 });
    child.send({ cluster: 'message', topic: 'a5z', data: 2 });
    child.send({ cluster: 'message', topic: 'other', data: 3 });
    child.send({ cluster: 'dropped', count: 4 });
    child.send({ cluster: 'message', from: 'b.1', data: 'last' });
  });
  assert.equal(code, 0);
  const { text } = said.find((message) => message.cluster === 'status');
  assert.deepEqual(JSON.parse(text), [[1, 'news.x', 'b.1'], [2, 'a5z', null], 4, 'last']);
  assert.equal(said.at(-1).topic, 'a[0-9]?');
};

cases.channel_is_part_of_the_package = () => {
  assert.equal(require('clusterd').channel, require('clusterd/channel'));
};

const run = cases[process.argv[2]];
if (run === undefined) {
  console.error(`no such case; there are: ${Object.keys(cases).join(' ')}`);
  process.exit(2);
}
Promise.resolve().then(run).catch((error) => {
  console.error(error);
  process.exit(1);
});
