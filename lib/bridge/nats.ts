/**
 * `ringfence/nats`: queues and mutexes between machines, by a NATS server with JetStream, 2.9.10 or later.
 *
 * It needs the packages `@nats-io/transport-node`, `@nats-io/jetstream` and `@nats-io/kv` beside this one.
 */
import { NatsMutex, type NatsMutexOptions } from './nats-mutex.ts';
import { NatsQueue, type NatsQueueOptions } from './nats-queue.ts';

export type { AsyncMutex, AsyncQueue, RemoteQueue, Task } from './faces.ts';
export type { Lease, NatsMutex, NatsMutexOptions } from './nats-mutex.ts';
export type { NatsQueue, NatsQueueOptions } from './nats-queue.ts';

/**
 * A queue for all machines that reach the server, made if it is not there. Each item is delivered at least once: what a process
 * has taken and not acknowledged by `taskDone` goes to others when it gives no sign of life for the `lease`.
 *
 * Rejects with RangeError when it is there with other options; TypeError; and what the connection throws.
 *
 * @example
 * import { natsQueue } from 'ringfence/nats';
 * import { connect } from '@nats-io/transport-node';
 *
 * const connection = await connect({ servers: 'nats.example.org' });
 * const jobs = await natsQueue<string>({ connection, name: 'jobs', capacity: 1000 });
 * await jobs.putAsync('tea');
 */
export async function natsQueue<T = unknown>(options: NatsQueueOptions<T>): Promise<NatsQueue<T>> {
  return new NatsQueue<T>(options).open();
}

/**
 * A mutex for all machines that reach the server. A holder that gives no sign of life for `ttl` milliseconds loses it; its
 * `lease.signal` then aborts, and what it still sends can be told by its `lease.token`.
 *
 * Rejects with RangeError when it is there with another ttl; TypeError; and what the connection throws.
 *
 * @example
 * import { natsMutex } from 'ringfence/nats';
 * import { connect } from '@nats-io/transport-node';
 *
 * const connection = await connect({ servers: 'nats.example.org' });
 * const till = await natsMutex({ connection, name: 'till', ttl: 10_000 });
 * await till.withAsync(async ({ token, signal }) => {
 *   await fetch('https://shop.example.org/sell', { method: 'POST', body: String(token), signal });
 * });
 */
export async function natsMutex(options: NatsMutexOptions): Promise<NatsMutex> {
  return new NatsMutex(options).open();
}
