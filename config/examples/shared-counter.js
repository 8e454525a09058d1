// The server of shared-counter.toml: counts requests in one variable that all its processes share. Whoever answers, the number
// grows by one.
const http = require('http');
const clusterd = require('clusterd');

// A BigInt64Array of one element over memory that every worker of this daemon has, in any language.
const sharedCounter = clusterd.counter('requests').array;

const port = Number(process.env.BASE_PORT || 8070) + Number(process.env.CLUSTER_INSTANCE || 0);

const server = http.createServer((request, response) => {
  response.setHeader('Connection', 'close');
  if (request.url !== '/') {
    response.statusCode = 404;
    response.end();
    return;
  }
  const before = Atomics.add(sharedCounter, 0, 1n);
  response.end(`request ${before + 1n}, answered by process ${process.pid}\n`);
});

server.listen(port, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${port}/`));

process.on('SIGTERM', () => server.close(() => process.exit(0)));
