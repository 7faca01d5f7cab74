// A process with a pipeline from a remote queue into another one: `node supplying.js socket PATH`, or `nats PORT NAMES`.
import { setTimeout as pause } from 'node:timers/promises';
import { connect as connectNats, type NatsConnection } from '@nats-io/transport-node';
import type { RemoteQueue } from '../../lib/bridge/faces.ts';
import { natsQueue } from '../../lib/bridge/nats.ts';
import { connect } from '../../lib/bridge/socket.ts';
import { pipeline } from '../../lib/pipeline/pipeline.ts';

const LEASE = 1000;

/** A stage in a thread that takes its time now and then. */
export async function slowly(n: number): Promise<number> {
  await pause(n % 7 === 0 ? 5 : 1);
  return n;
}

/** A stage that takes longer than the lease of its item. */
export async function longer(n: number): Promise<number> {
  await pause(2.5 * LEASE);
  return n;
}

/** The queues of one test, as any process opens them. */
export async function openNats(
  connection: NatsConnection,
  name: string,
): Promise<[RemoteQueue<number>, RemoteQueue<number>]> {
  const open = (end: string) =>
    natsQueue<number>({ connection, name: `${name}-${end}`, capacity: 400, lease: LEASE, durable: false });
  return [await open('in'), await open('out')];
}

async function openSocket(path: string): Promise<[RemoteQueue<number>, RemoteQueue<number>]> {
  const client = await connect(path);
  return [await client.queue('in'), await client.queue('out')];
}

if (process.send) {
  const [kind, where = '', name = ''] = process.argv.slice(2);
  const [from, to] =
    kind === 'nats' ? await openNats(await connectNats({ port: Number(where) }), name) : await openSocket(where);
  await pipeline(from, { inFlight: 64 })
    .map(new URL(import.meta.url), 'slowly', { threads: 2 })
    .to(to, { end: false });
  process.send('ended');
  process.exit();
}
