// adds.js TARGET KILLS DOOMED FIRST LEDGERS: adds 1 to the counter "wish" until this instance has proved TARGET additions.
//
// The proof is a file outside of the store: before each addition, which one it will be. A run that was killed does not know
// whether it has made the last one; so every addition also turns a bit of the counter that is this instance's own (bit 40 +
// FIRST + instance). The next run looks at it, and no addition is lost or made twice. Instances below DOOMED stop at a part of
// the way in their first KILLS runs, so that whoever is to kill them finds them alive.
'use strict';
const fs = require('fs');
const clusterd = require('clusterd');

const [target, kills, doomed, first] = process.argv.slice(2, 6).map(Number);
const instance = Number(process.env.CLUSTER_INSTANCE);
const bit = 1n << BigInt(40 + first + instance);
const shared = clusterd.counter('wish').array;
const file = fs.openSync(`${process.argv[6]}/${first + instance}`, fs.constants.O_RDWR | fs.constants.O_CREAT);
const ledger = Buffer.alloc(24);  // the addition that was begun last, all that were proved at the end, runs
fs.readSync(file, ledger, 0, 24, 0);

function note(at, number) {
  ledger.writeBigUInt64LE(BigInt(number), at);
  fs.writeSync(file, ledger, at, 8, at);
}

let done = Number(ledger.readBigUInt64LE(0));
const isOdd = (Atomics.load(shared, 0) & bit) !== 0n;
if (isOdd !== (done % 2 === 1)) --done;
const run = Number(ledger.readBigUInt64LE(16)) + 1;
note(16, run);

const isDoomed = instance < doomed && run <= kills;
const limit = isDoomed ? Math.floor(target * run / (kills + 1)) : target;
while (done < limit) {
  note(0, done + 1);
  Atomics.add(shared, 0, done % 2 === 0 ? 1n + bit : 1n - bit);
  ++done;
}
if (isDoomed) {
  setInterval(() => {}, 1000);
} else {
  note(8, done);
}
