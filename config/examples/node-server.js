// The server of node.toml: listens on BASE_PORT plus its instance number, and on SIGTERM finishes the requests that it
// has before it exits.
const http = require('http');

const instance = Number(process.env.CLUSTER_INSTANCE || 0);
const port = Number(process.env.BASE_PORT || 8090) + instance;

const server = http.createServer((request, response) => {
  response.setHeader('Connection', 'close');
  response.end(`node ${instance} of ${process.env.CLUSTER_INSTANCES || 1}, pid ${process.pid}\n`);
});

server.listen(port, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${port}/`));

process.on('SIGTERM', () => {
  console.log('finishing');
  server.close(() => process.exit(0));
});
