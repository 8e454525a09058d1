// A counter of all processes of a cluster, as one would write it: a SharedArrayBuffer, and Atomics. Under Node's own cluster it
// does not work, for each process has a buffer of its own: of 200 requests, each of four counts 50. Run by node-cluster-memory.toml it
// does, without a change.
const cluster = require('cluster');
const http = require('http');
const os = require('os');

const port = process.env.PORT || 8000;

const sharedBuffer = new SharedArrayBuffer(4);
const sharedCounter = new Int32Array(sharedBuffer);

if (cluster.isPrimary) {
  for (let i = 0; i < os.cpus().length; i++) {
    cluster.fork();
  }

  cluster.on('exit', () => cluster.fork());
} else {
  http.createServer((req, res) => {
    if (req.url === '/increment') {
      Atomics.add(sharedCounter, 0, 1);
    }
    res.writeHead(200, { 'Content-Type': 'text/plain' });
    res.end(`Worker ${process.pid}, shared counter: ${Atomics.load(sharedCounter, 0)}\n`);
  }).listen(port);

  console.log(`Worker ${process.pid} started`);
}
