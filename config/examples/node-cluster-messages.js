// A counter of all processes of a cluster, by messages to the primary. Nothing here is for clusterd: `node node-cluster-messages.js`
// runs it as ever, with a primary of its own. Run by node-cluster-messages.toml, the daemon is the primary, and does its half by a rule.
const cluster = require('cluster');
const http = require('http');
const os = require('os');

const port = process.env.PORT || 8000;

if (cluster.isPrimary) {
  let globalCounter = 0;

  for (let i = 0; i < os.cpus().length; i++) {
    cluster.fork();
  }

  cluster.on('message', (worker, message) => {
    if (message.type === 'updateCounter') {
      globalCounter += message.increment;
      for (const id in cluster.workers) {
        cluster.workers[id].send({ type: 'globalCounter', value: globalCounter });
      }
    }
  });

  cluster.on('exit', () => cluster.fork());
} else {
  let globalCounter = 0;

  process.on('message', (message) => {
    if (message.type === 'globalCounter') {
      globalCounter = message.value;
    }
  });

  http.createServer((req, res) => {
    if (req.url === '/increment') {
      process.send({ type: 'updateCounter', increment: 1 });
    }
    res.writeHead(200, { 'Content-Type': 'text/plain' });
    res.end(`Worker ${process.pid}, global counter: ${globalCounter}\n`);
  }).listen(port);

  console.log(`Worker ${process.pid} started`);
}
