'use strict';
// The preload that drains a worker. Node's own cluster primary plays the daemon: it forks workers, hears what the preload says,
// and has them drained or, as it does by itself, disconnected. tests/e2e/node_cluster_test.cpp has the real daemon.
//
//   node drain_test.js CASE       CLUSTERD_PRELOAD names the preload, CLUSTERD_FRAMEWORKS a directory with express and fastify

const assert = require('assert/strict');
const cluster = require('cluster');
const { execFileSync, fork, spawnSync } = require('child_process');
const { once } = require('events');
const fs = require('fs');
const net = require('net');
const os = require('os');
const path = require('path');
const tls = require('tls');

const preload = process.env.CLUSTERD_PRELOAD;
const frameworks = process.env.CLUSTERD_FRAMEWORKS ?? '';
const place = fs.mkdtempSync(path.join(os.tmpdir(), 'drain-'));
process.on('exit', () => fs.rmSync(place, { recursive: true }));

const quoted = (file) => `--require "${file.replace(/["\\]/g, '\\$&')}"`;
/** The environment that clusterd gives to a worker. */
const asked = (file = preload, options = '') => ({ CLUSTER_NODE_DRAIN: '1', NODE_OPTIONS: `${quoted(file)} ${options}`.trim() });

let programs = 0;
function program(text, suffix = 'js') {
  const file = path.join(place, `program${programs++}.${suffix}`);
  fs.writeFileSync(file, text);
  return file;
}

function certificate() {
  const key = path.join(place, 'key.pem');
  const cert = path.join(place, 'cert.pem');
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key,
    '-out', cert, '-days', '2', '-subj', '/CN=localhost'], { stdio: 'ignore' });
  return `{ key: require('fs').readFileSync(${JSON.stringify(key)}), cert: require('fs').readFileSync(${JSON.stringify(cert)}) }`;
}

/** Resolves to the first internal message of that name. */
function told(child, name) {
  return new Promise((resolve) => {
    child.on('internalMessage', function hear(message) {
      if (message.cmd !== name) return;
      child.off('internalMessage', hear);
      resolve(message);
    });
  });
}

/** A rolling replacement of workers behind one port. */
class Primary {
  constructor(exec, { policy = cluster.SCHED_NONE, isDrained = true } = {}) {
    cluster.schedulingPolicy = policy;
    cluster.setupPrimary({ exec, silent: false });
    this.isDrained = isDrained;
  }

  async start(count) {
    this.workers = [];
    for (let i = 0; i < count; i++) this.workers.push(await this.startOne());
    return this.port;
  }

  async startOne() {
    const worker = cluster.fork(this.isDrained ? asked() : {});
    const hello = this.isDrained ? told(worker.process, 'NODE_CLUSTERD_HELLO') : undefined;
    const [address] = await once(worker, 'listening');
    this.port = address.port;
    if (hello) assert.equal((await hello).drain, true);
    return worker;
  }

  /** The new one listens before the old one is told. Resolves when the old one has ended. */
  async replace(i) {
    const old = this.workers[i];
    this.workers[i] = await this.startOne();
    await this.end(old);
  }

  async end(worker) {
    const exit = once(worker, 'exit');
    if (this.isDrained) {
      const drained = told(worker.process, 'NODE_CLUSTERD_DRAINED');
      worker.process.send({ cmd: 'NODE_CLUSTERD_DRAIN', idle_ms: 300, grace_ms: 20_000 });
      assert.deepEqual((await drained).left, { requests: 0, upgraded: 0, other: 0 });
    }
    worker.disconnect();
    const [code, signal] = await exit;
    assert.deepEqual([code, signal], [0, null]);
  }

  async stop() {
    await Promise.all(this.workers.map((worker) => this.end(worker)));
  }
}

/** Asks again and again on one connection as long as that is kept, then on the next. A request without its answer is a failed one. */
class Client {
  requests = 0;
  failed = [];
  closeHeaders = 0;
  #isWanted = true;
  #pause;

  constructor(port, { secure = false, pauseMs = 0 } = {}) {
    this.connect = () => secure ? tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false }) : net.connect(port, '127.0.0.1');
    this.#pause = (act) => pauseMs > 0 ? setTimeout(act, pauseMs) : act();
    this.done = this.#run();
  }

  async #run() {
    while (this.#isWanted) await this.#oneConnection();
  }

  #oneConnection() {
    return new Promise((resolve) => {
      const socket = this.connect();
      let isWaiting = false;
      let text = '';
      const ask = () => {
        if (!this.#isWanted) return void socket.end();
        if (socket.destroyed || !socket.writable) return;
        isWaiting = true;
        text = '';
        socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
      };
      socket.once(socket.encrypted ? 'secureConnect' : 'connect', ask);
      socket.on('data', (piece) => {
        text += piece;
        const length = /content-length: (\d+)\r\n/i.exec(text);
        const body = text.indexOf('\r\n\r\n') + 4;
        if (body < 4 || length === null || text.length < body + Number(length[1])) return;
        isWaiting = false;
        this.requests++;
        if (!text.startsWith('HTTP/1.1 200')) this.failed.push(text.slice(0, 40));
        if (/^connection: close\r$/im.test(text)) this.closeHeaders++;
        else this.#pause(ask);
      });
      socket.on('error', (error) => {
        if (isWaiting) this.failed.push(error.code);
        isWaiting = false;
      });
      socket.on('close', () => {
        if (isWaiting) this.failed.push('closed');
        resolve();
      });
    });
  }

  stop() {
    this.#isWanted = false;
    return this.done;
  }
}

const sum = (clients, member) => clients.reduce((all, client) => all + client[member], 0);

/** Replaces both workers `rounds` times under load. */
async function roll(exec, { rounds = 3, secure = false, until = () => false, ...options } = {}) {
  const primary = new Primary(exec, options);
  const port = await primary.start(2);
  const clients = Array.from({ length: 16 }, () => new Client(port, { secure }));
  const failures = () => clients.flatMap((client) => client.failed);
  for (let i = 0; i < 2 * rounds && !until(failures()); i++) {
    const before = sum(clients, 'requests');
    while (sum(clients, 'requests') < before + 200) await new Promise((resolve) => setImmediate(resolve));
    await primary.replace(i % 2);
  }
  await Promise.all(clients.map((client) => client.stop()));
  await primary.stop();
  console.log(`${sum(clients, 'requests')} requests, ${failures().length} failed, ${sum(clients, 'closeHeaders')} said to be the last`);
  return { requests: sum(clients, 'requests'), failures: failures(), closeHeaders: sum(clients, 'closeHeaders') };
}

async function rollsWithoutLoss(exec, options) {
  const { failures, closeHeaders } = await roll(exec, options);
  assert.deepEqual(failures, []);
  assert.ok(closeHeaders >= 16, 'nobody was told that an answer is the last one');
}

const plain = `require('http').createServer((request, response) => response.end('hello')).listen(0);`;

/** One worker as a fork, which is how clusterd starts it but for the cluster; `text` says its port by process.send. */
async function one(text, env = asked()) {
  const child = fork(program(text), { env: { ...process.env, ...env } });
  const hello = told(child, 'NODE_CLUSTERD_HELLO');
  const port = (await once(child, 'message'))[0];
  await hello;
  const exit = once(child, 'exit');
  return {
    child,
    port,
    exit,
    drain: (fields = {}) => {
      const drained = told(child, 'NODE_CLUSTERD_DRAINED');
      child.send({ cmd: 'NODE_CLUSTERD_DRAIN', idle_ms: 200, ...fields });
      return drained.then(({ left }) => left);
    },
  };
}
const EMPTY = { requests: 0, upgraded: 0, other: 0 };

/**
 * Connects, and gathers what comes. Here the worker's socket is the only one, so whoever it has not accepted when it is drained is
 * cut: ask something before.
 */
async function talk(port) {
  const socket = net.connect(port, '127.0.0.1');
  await once(socket, 'connect');
  const talk = { socket, said: '', closed: once(socket, 'close') };
  socket.on('data', (piece) => {
    talk.said += piece;
    socket.emit('said');
  });
  socket.on('error', () => {});
  talk.ask = async (request, expected) => {
    if (request !== '') talk.said = '';
    socket.write(request);
    while (!expected.test(talk.said)) {
      await Promise.race([once(socket, 'said'), once(socket, 'close').then(() => assert.fail(`closed after: ${talk.said}`))]);
    }
    return talk.said;
  };
  return talk;
}
/** Resolves when nobody accepts there any more. */
async function refused(port) {
  for (;;) {
    const socket = net.connect(port, '127.0.0.1');
    const error = await once(socket, 'connect').then(() => undefined, (reason) => reason);
    socket.on('error', () => {});
    socket.destroy();
    if (error?.code === 'ECONNREFUSED') return;
  }
}
const GET = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
const HELLO_AND_CLOSE = /connection: close\r\n[^]*hello/i;

const cases = {};

// --- nothing is lost

cases.drain_shared = () => rollsWithoutLoss(program(plain));

cases.drain_round_robin = () => rollsWithoutLoss(program(plain), { policy: cluster.SCHED_RR });

cases.drain_https = () => rollsWithoutLoss(
  program(`require('https').createServer(${certificate()}, (request, response) => response.end('hello')).listen(0);`), { secure: true });

cases.drain_slow_answers = () => rollsWithoutLoss(
  program(`require('http').createServer((request, response) => setTimeout(() => response.end('hello'), 20)).listen(0);`));

cases.drain_esm = () => rollsWithoutLoss(
  program(`import { createServer } from 'node:http'; createServer((request, response) => response.end('hello')).listen(0);`, 'mjs'));

cases.drain_without_it_requests_are_lost = async () => {
  if (Number(process.versions.node.split('.')[0]) < 19) return console.log('SKIPPED: this Node waits for idle connections, for ever if need be');
  const { failures } = await roll(program(plain), { isDrained: false, rounds: 20, until: (lost) => lost.length > 0 });
  assert.ok(failures.length > 0, 'nothing was lost without it: these tests prove nothing');
};

function frameworkServer(name, text) {
  if (!fs.existsSync(path.join(frameworks, 'node_modules', name))) return console.log(`SKIPPED: no ${name} (npm was not reached)`);
  return rollsWithoutLoss(program(`const load = require('module').createRequire(${JSON.stringify(frameworks + '/')});\n${text}`));
}

cases.drain_express = () => frameworkServer('express', `
  const app = load('express')();
  app.get('/', (request, response) => response.send('hello'));
  app.listen(0);`);

cases.drain_fastify = () => frameworkServer('fastify', `
  const app = load('fastify')({ keepAliveTimeout: 5000 });
  app.get('/', async () => 'hello');
  app.listen({ port: 0, host: '127.0.0.1' });`);

// --- what becomes of connections

cases.drain_silent_connections_end = async () => {
  const { port, drain, exit } = await one(
    `const server = require('http').createServer({ keepAliveTimeout: 60000 }, (request, response) => response.end('hello'));
     server.listen(0, () => process.send(server.address().port));`);
  const silent = await talk(port);
  assert.match(await silent.ask(GET, /hello/), /connection: keep-alive/i);
  const fresh = await talk(port);
  const busy = await talk(port);
  await busy.ask(GET, /hello/);
  const from = Date.now();
  const drained = drain({ idle_ms: 400 });
  await refused(port);
  await busy.ask(GET, HELLO_AND_CLOSE);
  await Promise.all([silent.closed, fresh.closed, busy.closed]);
  assert.ok(Date.now() - from >= 399, 'a connection was ended before it had been silent long enough');
  assert.deepEqual(await drained, EMPTY);
  assert.deepEqual(await exit, [0, null]);  // nothing of ours keeps it alive
};

cases.drain_a_request_that_comes_slowly = async () => {
  const { port, drain } = await one(
    `const server = require('http').createServer((request, response) => response.end('hello'));
     server.listen(0, () => process.send(server.address().port));`);
  const slow = await talk(port);
  await slow.ask(GET, /hello/);
  slow.socket.write(GET.slice(0, 10));
  const drained = drain({ idle_ms: 1200 });
  for (const piece of GET.slice(10, -1)) {
    await new Promise((resolve) => setTimeout(resolve, 80));  // 1.9 s in all
    slow.socket.write(piece);
  }
  await slow.ask(GET.slice(-1), HELLO_AND_CLOSE);
  await slow.closed;
  assert.deepEqual(await drained, EMPTY);
};

cases.drain_a_busy_process_cuts_nobody = async () => {
  const { port, drain } = await one(
    `const server = require('http').createServer((request, response) => {
       if (request.url === '/block') for (const end = Date.now() + 2000; Date.now() < end;);
       response.end('hello');
     });
     server.listen(0, () => process.send(server.address().port));`);
  const patient = await talk(port);
  await patient.ask(GET, /hello/);
  const blocking = await talk(port);
  await blocking.ask(GET, /hello/);
  const drained = drain({ idle_ms: 4000 });
  await refused(port);
  // Busy from before the patient one has been silent long enough until after that.
  await new Promise((resolve) => setTimeout(resolve, 3300));
  const blocked = blocking.ask(GET.replace('/ ', '/block '), HELLO_AND_CLOSE);
  await new Promise((resolve) => setTimeout(resolve, 300));
  await patient.ask(GET, HELLO_AND_CLOSE);
  await blocked;
  assert.deepEqual(await drained, EMPTY);
};

cases.drain_an_answer_under_way_is_the_last = async () => {
  const { port, drain } = await one(
    `const server = require('http').createServer((request, response) => setTimeout(() => response.end('hello'), 500));
     server.listen(0, () => process.send(server.address().port));`);
  const connection = await talk(port);
  await connection.ask(GET, /hello/);
  const answer = connection.ask(GET, HELLO_AND_CLOSE);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const drained = drain({ idle_ms: 60_000 });
  await answer;
  await connection.closed;
  assert.deepEqual(await drained, EMPTY);
};

cases.drain_endless_answers_are_reported = async () => {
  const { port, drain, child } = await one(
    `const server = require('http').createServer((request, response) => {
       response.writeHead(200, { 'Content-Type': 'text/event-stream' });
       response.write('data: 1\\n\\n');
     });
     server.on('upgrade', (request, socket) => {
       socket.write('HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: websocket\\r\\nConnection: Upgrade\\r\\n\\r\\n');
       socket.on('data', (piece) => socket.write(piece));
     });
     require('net').createServer((socket) => socket.write('welcome')).listen(0, function () {
       server.listen(0, () => process.send([server.address().port, this.address().port]));
     });`);
  const events = await talk(port[0]);
  await events.ask(GET, /data: 1/);
  const socket = await talk(port[0]);
  await socket.ask(GET.replace('Host', 'Connection: Upgrade\r\nUpgrade: websocket\r\nHost'), /101 [^]*\r\n\r\n/);
  await (await talk(port[1])).ask('', /welcome/);
  const drained = drain({ idle_ms: 100, grace_ms: 700 });
  await new Promise((resolve) => setTimeout(resolve, 400));
  assert.equal(await socket.ask('ping', /ping/), 'ping');
  assert.deepEqual(await drained, { requests: 1, upgraded: 1, other: 1 });
  child.kill('SIGKILL');
};

cases.drain_headers_of_the_program = async () => {
  const { port, drain } = await one(
    `const server = require('http').createServer((request, response) => {
       const headers = { 'connection': 'keep-alive', 'content-length': 5 };
       if (request.url === '/set') response.setHeader('Connection', 'keep-alive');
       else if (request.url === '/object') response.writeHead(200, 'OK', headers);
       else if (request.url === '/array') response.writeHead(200, Object.entries(headers).flat());
       else if (request.url === '/none') response.removeHeader('Connection');
       response.end('hello');
     });
     server.listen(0, () => process.send(server.address().port));`);
  const urls = ['/set', '/object', '/array'];
  const connections = await Promise.all([...urls, '/none'].map(() => talk(port)));
  for (const connection of connections) await connection.ask(GET, /hello/);
  const drained = drain({ idle_ms: 5000 });
  await refused(port);
  for (const [i, url] of urls.entries()) {
    assert.doesNotMatch(await connections[i].ask(GET.replace('/', url), HELLO_AND_CLOSE), /keep-alive/i);
  }
  await connections[3].ask(GET.replace('/', '/none'), /hello/);
  await Promise.all(connections.map(({ closed }) => closed));
  assert.deepEqual(await drained, EMPTY);
};

cases.drain_http2 = async () => {
  const { port, drain } = await one(
    `const server = require('http2').createServer((request, response) => setTimeout(() => response.end('hello'), 300));
     server.listen(0, () => process.send(server.address().port));`);
  const connect = async () => {
    const session = require('http2').connect(`http://127.0.0.1:${port}`);
    await once(session, 'remoteSettings');
    return { session, closed: once(session, 'close') };
  };
  const [idle, busy] = [await connect(), await connect()];
  const request = busy.session.request({ ':path': '/' }).setEncoding('utf8');
  await new Promise((resolve) => setTimeout(resolve, 50));
  const drained = drain();
  let body = '';
  for await (const piece of request) body += piece;
  assert.equal(body, 'hello');
  await Promise.all([idle.closed, busy.closed]);
  assert.deepEqual(await drained, EMPTY);
};

// --- the program notices nothing

cases.drain_the_program_closes_too = async () => {
  const { port, child, exit, drain } = await one(
    `const server = require('http').createServer((request, response) => response.end('hello'));
     setInterval(() => {}, 1000);
     process.on('SIGTERM', () => server.close((error) => process.exit(error === undefined ? 7 : 1)));
     server.listen(0, () => process.send(server.address().port));`);
  const connection = await talk(port);
  await connection.ask(GET, /hello/);
  assert.deepEqual(await drain(), EMPTY);
  child.kill('SIGTERM');
  assert.deepEqual(await exit, [7, null]);
};

cases.drain_who_listens_late = async () => {
  const { child, drain, exit } = await one(
    `process.send('up');
     process.once('message', () => {
       const server = require('http').createServer(() => {});
       server.listen(0, () => process.send(server.address().port));
       server.on('close', () => process.disconnect());
     });`);
  assert.deepEqual(await drain(), EMPTY);
  child.send('go');
  const [port] = await once(child, 'message');
  assert.ok(port > 0);
  assert.deepEqual(await exit, [0, null]);
};

cases.drain_without_servers = async () => {
  const { child, drain, exit } = await one(`process.on('message', () => {}); process.send('up');`);
  assert.deepEqual(await drain(), EMPTY);
  child.disconnect();
  assert.deepEqual(await exit, [0, null]);
};

/** What a program prints that has `env` on top of ours, and its exit code: with a channel (fork) or without. */
async function output(file, env, { channel = true, args = [] } = {}) {
  if (!channel) {
    const { stdout, stderr, status } = spawnSync(process.execPath, [file, ...args], { env: { ...process.env, ...env } });
    return { said: String(stdout) + String(stderr), code: status };
  }
  const child = fork(file, args, { env: { ...process.env, ...env }, silent: true });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (piece) => { said += piece; });
  const [code] = await once(child, 'close');
  return { said, code };
}

cases.drain_keeps_nobody_alive = async () => {
  const file = program(`console.log('done')`);
  for (const channel of [true, false]) {
    assert.deepEqual(await output(file, asked(), { channel }), { said: 'done\n', code: 0 });
  }
};

cases.drain_children_inherit_nothing = async () => {
  const grandchild = program(`console.log('grandchild', process.env.NODE_OPTIONS, process.env.CLUSTER_NODE_DRAIN);`);
  const file = program(`
    const { fork } = require('child_process');
    const { Worker } = require('worker_threads');
    console.log('worker', process.env.NODE_OPTIONS, require('net').Server.prototype.listen.length);
    new Worker('console.log("thread", process.env.NODE_OPTIONS); require("net").createServer().listen(0, function () { this.close(); })',
      { eval: true }).on('exit', () => {
      const child = fork(${JSON.stringify(grandchild)});
      child.on('internalMessage', ({ cmd }) => console.log('heard', cmd));
      child.on('exit', (code) => { console.log('exit', code); });
    });`);
  const { said, code } = await output(file, asked());
  assert.equal(said, 'worker undefined 0\nthread undefined\ngrandchild undefined undefined\nexit 0\n');
  assert.equal(code, 0);
  const own = await output(grandchild, asked(preload, '--max-old-space-size=99 --title="a b"'));
  assert.equal(own.said, 'grandchild --max-old-space-size=99 --title="a b" undefined\n');
};

const listeners = `console.log(process.env.NODE_OPTIONS, process.listenerCount('internalMessage'));`;

cases.drain_not_asked = async () => {
  const file = program(listeners);
  for (const channel of [true, false]) {
    const { said } = await output(file, {}, { channel });
    assert.equal((await output(file, { NODE_OPTIONS: quoted(preload) }, { channel })).said, said.replace('undefined', quoted(preload)));
  }
  assert.match((await output(file, asked(), { channel: false })).said, /^undefined 0\n$/);
};

cases.drain_a_path_of_any_kind = async () => {
  const directory = path.join(place, 'a "quoted" \\ place');
  fs.mkdirSync(directory);
  const copy = path.join(directory, 'preload.js');
  fs.copyFileSync(preload, copy);
  const link = path.join(place, 'link.js');
  fs.symlinkSync(copy, link);
  const file = program(listeners);
  const without = Number((await output(file, {})).said.split(' ')[1]);
  for (const name of [copy, link]) {
    assert.equal((await output(file, asked(name))).said, `undefined ${without + 1}\n`);
    assert.equal((await output(file, asked(name, '--trace-warnings'))).said, `--trace-warnings ${without + 1}\n`);
  }
};

cases.drain_npm = () => {
  const npm = spawnSync('npm', ['--version'], { env: { ...process.env, ...asked() } });
  if (npm.error !== undefined) return console.log('SKIPPED: no npm');
  assert.match(String(npm.stdout), /^\d+\.\d+\.\d+\n$/);
  assert.equal(npm.status, 0);
};

// A case that waits for what can never come would otherwise end well.
let isDone = false;
process.on('exit', () => {
  if (!isDone) process.exitCode = 1;
});
Promise.resolve(cases[process.argv[2]]()).then(() => { isDone = true; });
