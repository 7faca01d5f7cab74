// The producer of bridge.bench.ts: a process of its own that sends for as long as it is told, and says how many a second it sent.
import { connect as dial } from 'node:net';
import { jetstream } from '@nats-io/jetstream';
import { connect as connectNats } from '@nats-io/transport-node';
import { natsQueue } from '../lib/bridge/nats.ts';
import { connect } from '../lib/bridge/socket.ts';

export const ITEM: Uint8Array = new Uint8Array(64).fill(7);
export const BATCH = 64;
export const IN_FLIGHT = 64;
/** Batches under way: as many bytes as the socket of the raw rival takes before its writer must wait. */
const BATCHES = 48;
/** Of the stream and of its rival; more than is ever under way. */
export const CAPACITY = 4096;

/** Sends some, and resolves when they have arrived: how many. */
type Send = () => Promise<number>;

const batch = new Array<Uint8Array>(BATCH).fill(ITEM);

const jobs: Record<string, (where: string) => Promise<{ send: Send; atOnce: number }>> = {
  async one(path) {
    const queue = await (await connect(path)).queue('items');
    return { atOnce: IN_FLIGHT, send: () => queue.putAsync(ITEM).then(() => 1) };
  },

  async many(path) {
    const queue = await (await connect(path)).queue('items');
    return { atOnce: BATCHES, send: () => queue.putManyAsync(batch).then(() => BATCH) };
  },

  async raw(path) {
    const socket = dial(path);
    await new Promise((resolve) => socket.once('connect', resolve));
    const bytes = Buffer.alloc(ITEM.length * BATCH, 7);
    const send = async () => {
      if (!socket.write(bytes)) await new Promise((resolve) => socket.once('drain', resolve));
      return BATCH;
    };
    return { atOnce: 1, send };
  },

  async nats(port) {
    const connection = await connectNats({ port: Number(port) });
    const queue = await natsQueue({ connection, name: 'bench', capacity: CAPACITY, durable: false });
    return { atOnce: 256, send: () => queue.putAsync(ITEM).then(() => 1) };
  },

  async client(port) {
    const js = jetstream(await connectNats({ port: Number(port) }));
    return { atOnce: 256, send: () => js.publish('rival', ITEM).then(() => 1) };
  },
};

if (process.send) {
  const [name = '', where = ''] = process.argv.slice(2);
  const { send, atOnce } = await (jobs[name] as (typeof jobs)[string])(where);
  process.on('message', async (ms: number) => {
    let sent = 0;
    const start = performance.now();
    const loop = async () => {
      while (performance.now() - start < ms) {
        const more = await send(); // not in one with the sum: others add to it meanwhile
        sent += more;
      }
    };
    await Promise.all(Array.from({ length: atOnce }, loop));
    process.send?.(sent / (performance.now() - start));
  });
  process.on('disconnect', () => process.exit()); // there is nobody left to send for
  process.send('ready');
}
