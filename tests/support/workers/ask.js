'use strict';
// ask.js PORT PATH CONNECTIONS: requests over so many connections, each kept as long as the server keeps it, until SIGTERM. At the end, as
// JSON: how many were asked, answered, and not answered.
const net = require('net');

const [port, path, connections] = [process.argv[2], process.argv[3], Number(process.argv[4])];
let isWanted = true;
let asked = 0;
let answered = 0;
let failed = 0;
process.on('SIGTERM', () => { isWanted = false; });

function connect() {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    let isWaiting = false;
    let text = '';
    const ask = () => {
      if (!isWanted) return void socket.end();
      asked++;
      isWaiting = true;
      text = '';
      socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
    };
    socket.on('connect', ask);
    socket.on('data', (piece) => {
      text += piece;
      const header = text.indexOf('\r\n\r\n');
      const isChunked = /transfer-encoding: chunked/i.test(text);
      const length = /content-length: (\d+)/i.exec(text);
      const isWhole = header > 0 && (isChunked ? text.endsWith('0\r\n\r\n') : text.length >= header + 4 + Number(length?.[1] ?? 0));
      if (!isWhole) return;
      isWaiting = false;
      answered++;
      if (!/^connection: close\r$/im.test(text)) ask();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (isWaiting) failed++;
      resolve();
    });
  });
}

async function keepAsking() {
  while (isWanted) await connect();
}

Promise.all(Array.from({ length: connections }, keepAsking)).then(() => console.log(JSON.stringify({ asked, answered, failed })));
