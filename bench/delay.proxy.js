/**
 * A TCP proxy for `streams.bench.js`, in a process of its own, so that its work does not count for the producer. It delays data by half of
 * the given round trip in each direction. Prints its port.
 *
 *   node bench/delay.proxy.js <port of Redis> <round trip in ms>
 */
import { connect, createServer } from 'node:net';

const [target, roundTripMs] = process.argv.slice(2).map(Number);

function relay(from, to) {
  from.setNoDelay();
  from.on('error', () => to.destroy());
  from.on('close', () => to.destroy());
  from.on('data', (chunk) => {
    if (roundTripMs === 0) to.write(chunk);
    else setTimeout(() => to.write(chunk), roundTripMs / 2);
  });
}

const server = createServer((client) => {
  const upstream = connect(target, '127.0.0.1');
  relay(client, upstream);
  relay(upstream, client);
});
server.listen(0, '127.0.0.1', () => process.stdout.write(`${server.address().port}\n`));
