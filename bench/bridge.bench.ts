import { type ChildProcess, fork, spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { natsQueue } from '../lib/bridge/nats.ts';
import { serve } from '../lib/bridge/socket.ts';
import { codec, Queue } from '../lib/index.ts';
import { CAPACITY } from './bridge.jobs.ts';
import { temporaryFolder, tied } from './children.ts';
import { python } from './native.ts';
import { type Rival, type Scenario, slow, Unavailable } from './scenario.ts';

/** What takes the items in this process, until it is stopped. */
interface Taker {
  /** Where the producer finds it. */
  readonly where: string;
  stop(): unknown;
}

/** What runs once a turn of the event loop, ours and Node's, is compiled only after some thousand turns, also in a quick run. */
const WARM_UP_MS = 2000;
/** A bare socket, and what goes by way of a NATS server, are as fast after so long as they will be. */
const SHORT_WARM_UP_MS = 1000;
/** Two processes run side by side or in turns as the scheduler likes, and change between that within some tens of milliseconds. */
const SHORTEST_ROUND_MS = 150;

/** A producer in a process of its own, and who takes its items here; a quick run warms them up for `quickMs`. */
function producer(name: string, job: string, take: (folder: string) => Promise<Taker>, quickMs = WARM_UP_MS): Rival {
  let [folder, ms] = ['', 0];
  let taker: Taker | undefined;
  let child: ChildProcess | undefined;
  const said = () => new Promise<unknown>((resolve) => child?.once('message', resolve));
  const run = async (time: number) => {
    child?.send(time);
    return Number(await said());
  };
  return {
    name,
    async start(effort) {
      ms = Math.max(SHORTEST_ROUND_MS, effort.roundMs);
      folder = temporaryFolder();
      taker = await take(folder);
      child = tied(fork(fileURLToPath(new URL('./bridge.jobs.js', import.meta.url)), [job, taker.where]));
      await said();
      await run(effort.quick ? quickMs : WARM_UP_MS);
    },
    round: () => run(ms),
    async stop() {
      child?.kill();
      await taker?.stop();
      if (folder) rmSync(folder, { recursive: true });
    },
  };
}

type Items = Queue<Uint8Array>;
const asViews = (items: Items) => items.consumeManyAsync(256, () => {});
const asArrays = (items: Items) => items.getManyAsync(256);

const takeFromSocket = (take: (items: Items) => Promise<unknown>) => async (folder: string) => {
  const items = new Queue<Uint8Array>({ capacity: CAPACITY, codec: codec.bytes });
  const where = join(folder, 'items.sock');
  const server = await serve({ path: where, queues: { items } });
  const ended = (async () => {
    for (;;) await take(items);
  })().catch(() => {});
  const stop = async () => {
    items.close();
    await ended;
    await server.close();
    items.free();
  };
  return { where, stop };
};

async function takeRaw(folder: string): Promise<Taker> {
  const where = join(folder, 'raw.sock');
  const server: Server = createServer((socket) => socket.on('error', () => {}).on('data', () => {}));
  await new Promise<void>((resolve) => server.listen(where, resolve));
  return { where, stop: () => server.close() };
}

/** A server of its own for each rival, with nothing on disk but what it wants itself. */
async function startNats(folder: string): Promise<{ port: number; connection: NatsConnection; stop(): Promise<void> }> {
  const port = 20_000 + Math.floor(Math.random() * 20_000);
  const args = ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', folder];
  const server = tied(spawn('nats-server', args, { stdio: 'ignore' }));
  let absent = false;
  server.on('error', () => {
    absent = true;
  });
  for (let tries = 100; ; tries--) {
    try {
      const connection = await connect({ port });
      const stop = async () => {
        await connection.close();
        server.kill();
        await new Promise((resolve) => server.once('exit', resolve));
      };
      return { port, connection, stop };
    } catch (error) {
      if (absent) throw new Unavailable('no nats-server here: apt-get install nats-server');
      if (tries === 0) throw error;
      await pause(50);
    }
  }
}

async function takeFromNats(folder: string): Promise<Taker> {
  const { port, connection, stop } = await startNats(folder);
  const queue = await natsQueue({ connection, name: 'bench', capacity: CAPACITY, durable: false });
  void (async () => {
    for (;;) await queue.taskDone((await queue.getManyAsync(256)).length);
  })().catch(() => {});
  return { where: String(port), stop };
}

/** The same by the client alone: the same kind of stream, a consumer that prefetches and acknowledges. */
async function takeByClient(folder: string): Promise<Taker> {
  const { port, connection, stop } = await startNats(folder);
  const manager = await jetstreamManager(connection);
  await manager.streams.add({
    name: 'rival',
    subjects: ['rival'],
    retention: 'workqueue',
    discard: 'new',
    max_msgs: 65_536,
    storage: 'memory',
  });
  await manager.consumers.add('rival', { durable_name: 'rival', ack_policy: 'explicit', max_ack_pending: -1 });
  const messages = await (await jetstream(connection).consumers.get('rival', 'rival')).consume({ max_messages: 256 });
  void (async () => {
    for await (const message of messages) message.ack();
  })().catch(() => {});
  return { where: String(port), stop };
}

const inThousands = (rival: Rival): Rival => ({ ...rival, round: async () => (await rival.round()) * 1e3 });

const common = { unit: 'k items/s', better: 'more', threads: 2, rounds: 11, compare: true } as const;

/** The scenarios of queues beyond this process. */
export const bridge: readonly Scenario[] = [
  {
    ...common,
    name: 'socket queue, one at a time: a process sends to another one faster than in Python',
    how: 'one process puts items of 64 bytes, 64 of them under way at a time; the process that serves the queue takes them',
    rivals: [
      producer('ringfence SocketQueue', 'one', takeFromSocket(asArrays)),
      inThousands(python('multiprocessing.Queue, Python', ({ roundMs }) => ['messages', '4096', '64', `${roundMs}`])),
    ],
  },
  {
    ...common,
    name: 'socket queue, 64 at a time: a queue costs at most as much again as its bytes',
    how: 'as before in batches of 64, 48 of them under way, taken by consumeManyAsync, or as an array each; the rival writes the same bytes, 4 KB at a time, and reads them away; its socket holds as many',
    rivals: [
      producer('ringfence SocketQueue', 'many', takeFromSocket(asViews)),
      producer('node:net', 'raw', takeRaw, SHORT_WARM_UP_MS),
      slow(producer('ringfence SocketQueue, an array each', 'many', takeFromSocket(asArrays))),
    ],
  },
  {
    ...common,
    name: 'NATS queue: bounds, identities and leases cost little',
    how: 'one process publishes 64 bytes, 256 under way, in memory; another one takes and acknowledges; all with one nats-server',
    rivals: [
      producer('ringfence natsQueue', 'nats', takeFromNats, SHORT_WARM_UP_MS),
      producer('@nats-io/jetstream', 'client', takeByClient, SHORT_WARM_UP_MS),
    ],
  },
];
