// The table of distances in docs/beyond.md: `node dist/bench/distances.js`. The same code between two threads, two processes
// and two clients of a NATS server, all on this machine: one item after the other, in batches, and there and back.
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { connect as connectNats, type NatsConnection } from '@nats-io/transport-node';
import type { AsyncQueue } from '../lib/bridge/faces.ts';
import { natsQueue } from '../lib/bridge/nats.ts';
import { connect, serve } from '../lib/bridge/socket.ts';
import { attach, Queue, type Shared, share, supervise } from '../lib/index.ts';
import { endOnSignals, temporaryFolder, tied } from './children.ts';

const BATCH = 64;
const CAPACITY = 1024;
const ROUNDS = 5;
const ROUND_MS = 300;
const NATS_PORT = 20_000 + (process.pid % 20_000);
const SELF = fileURLToPath(import.meta.url);
const ITEM = { id: 7, name: 'an order', items: ['tea', 'milk'], price: 9.5 };

/** One way out, one back. */
interface Ways {
  readonly out: AsyncQueue<object>;
  readonly back: AsyncQueue<object>;
}

/** What the other side does until it is ended: an item of `back` for each that says so. */
async function answer({ out, back }: Ways): Promise<void> {
  for (;;) {
    const items = await out.getManyAsync(BATCH);
    for (const item of items) if ('echo' in item) await back.putAsync(item);
    await out.taskDone(items.length);
  }
}

/** How many items a second go out when `send` sends so many at a time. */
async function rate(send: () => Promise<void>, items: number): Promise<number> {
  const start = performance.now();
  let sent = 0;
  while (performance.now() - start < ROUND_MS) {
    await send();
    sent += items;
  }
  return (sent / (performance.now() - start)) * 1000;
}

async function roundTrip({ out, back }: Ways): Promise<number> {
  const times: number[] = [];
  const start = performance.now();
  while (performance.now() - start < ROUND_MS) {
    const begin = performance.now();
    await out.putAsync({ ...ITEM, echo: true });
    await back.getAsync();
    times.push(performance.now() - begin);
    await back.taskDone();
  }
  return median(times) * 1000;
}

function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1] as number;
}

/** The figures of one distance: the median of some rounds. */
async function measure(name: string, ways: Ways): Promise<void> {
  const batch = new Array<object>(BATCH).fill(ITEM);
  const figures: number[][] = [[], [], []];
  for (let round = 0; round <= ROUNDS; round++) {
    const row = [
      await rate(() => ways.out.putAsync(ITEM), 1),
      await rate(() => ways.out.putManyAsync(batch), BATCH),
      await roundTrip(ways),
    ];
    if (round > 0) for (const [at, figure] of row.entries()) figures[at]?.push(figure); // the first one warms up
  }
  const [one, many, there] = figures.map((each) => median(each).toLocaleString('en', { maximumSignificantDigits: 2 }));
  console.log(`| ${name} | ${one} | ${many} | ${there} µs |`);
}

async function between(kind: 'threads' | 'socket' | 'nats'): Promise<void> {
  if (kind === 'threads') {
    const ways = { out: new Queue<object>({ capacity: CAPACITY }), back: new Queue<object>({ capacity: CAPACITY }) };
    const other = new Worker(new URL(import.meta.url), { workerData: share(ways) });
    supervise(other);
    await measure('two threads', ways);
    await other.terminate();
    return;
  }
  const folder = temporaryFolder();
  const end = kind === 'socket' ? await overSocket(join(folder, 'q.sock')) : await overNats(folder);
  await end();
}

async function other(kind: string, where: string): Promise<ChildProcess> {
  const child = tied(fork(SELF, [kind, where]));
  await new Promise((resolve) => child.once('message', resolve));
  return child;
}

/** The other process owns the queues: each operation here is a message and an answer. */
async function overSocket(path: string): Promise<() => Promise<void>> {
  const child = await other('socket', path);
  const client = await connect(path);
  const ways = { out: await client.queue<object>('out'), back: await client.queue<object>('back') };
  await measure('two processes, by a socket', ways);
  return async () => {
    await client.close();
    child.kill();
  };
}

async function overNats(folder: string): Promise<() => Promise<void>> {
  const args = ['-a', '127.0.0.1', '-p', String(NATS_PORT), '-js', '-sd', folder];
  const server = tied(spawn('nats-server', args, { stdio: 'ignore' }));
  const connection = await patientlyConnect();
  const ways = await natsWays(connection);
  const child = await other('nats', String(NATS_PORT));
  await measure('two processes, by a NATS server', ways);
  return async () => {
    child.kill();
    await connection.close();
    server.kill();
    await new Promise((resolve) => server.once('exit', resolve));
  };
}

async function natsWays(connection: NatsConnection): Promise<Ways> {
  const open = (name: string) => natsQueue<object>({ connection, name, capacity: CAPACITY, durable: false });
  return { out: await open('out'), back: await open('back') };
}

async function patientlyConnect(): Promise<NatsConnection> {
  for (let tries = 100; ; tries--) {
    try {
      return await connectNats({ port: NATS_PORT });
    } catch (error) {
      if (tries === 0) throw error;
      await pause(50);
    }
  }
}

async function served(path: string): Promise<Ways> {
  const ways = { out: new Queue<unknown>({ capacity: CAPACITY }), back: new Queue<unknown>({ capacity: CAPACITY }) };
  await serve({ path, queues: ways });
  return ways as unknown as Ways;
}

const [kind, where = ''] = process.argv.slice(2);
if (!isMainThread) await answer(attach(workerData as Shared<Ways>));
else if (process.send && kind) {
  const ways = kind === 'socket' ? await served(where) : await natsWays(await connectNats({ port: Number(where) }));
  process.send('ready');
  await answer(ways);
} else {
  endOnSignals();
  console.log(`| | items a second, one after the other | in batches of ${BATCH} | there and back |`);
  for (const distance of ['threads', 'socket', 'nats'] as const) await between(distance);
}
