// A process that holds a lock of a NATS server and writes with its token: `node nats-peering.js PORT`. It says what it does.
import { connect } from '@nats-io/transport-node';
import { natsMutex, natsQueue } from '../../lib/bridge/nats.ts';

const connection = await connect({ port: Number(process.argv[2]) });
if (process.argv[3] === 'take') {
  const queue = await natsQueue<number>({ connection, name: 'frozen', capacity: 100, lease: 1000 });
  const items = [];
  while (items.length < 10) items.push(await queue.getAsync());
  process.send?.({ items });
} else {
  const mutex = await natsMutex({ connection, name: 'frozen', ttl: 1000 });
  await mutex
    .withAsync(async ({ token, signal }) => {
      process.send?.({ token });
      await new Promise<void>((resolve) => process.once('message', () => resolve()));
      // Stopped meanwhile for longer than its ttl, it writes before it can know.
      process.send?.({ written: token, aborted: signal.aborted });
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
      process.send?.({ lost: signal.reason.code });
    })
    .catch((error) => process.send?.({ ended: error.code }));
}
