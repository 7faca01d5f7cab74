// Four processes sell the tickets of a fifth: by a lock and a queue that it serves through a socket, exactly as many as there are.
import { fork } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { connect, serve } from '../lib/bridge/socket.ts';
import { Mutex, Queue } from '../lib/index.ts';

const TICKETS = 20;
const SELLERS = 4;

interface Sale {
  readonly seller: string;
  readonly ticket: number;
}

const [folder, seller, locking] = process.argv.slice(2);
if (folder === undefined) await main();
else await sell(join(folder, 'office.sock'), join(folder, 'left.txt'), seller as string, locking === 'lock');

/** A process of its own: sells until nothing is left, with the lock or without it. */
async function sell(socket: string, file: string, seller: string, locks: boolean): Promise<void> {
  await using client = await connect(socket);
  const till = await client.mutex('till');
  const sales = await client.queue<Sale>('sales');
  await (await client.queue('doors')).getAsync();
  const sellOne = async (): Promise<number> => {
    const left = Number(await readFile(file, 'utf8'));
    await pause(5); // the printer
    if (left > 0) await writeFile(file, String(left - 1));
    return left;
  };
  for (;;) {
    const ticket = locks ? await till.withAsync(sellOne) : await sellOne();
    if (ticket === 0) return;
    await sales.putAsync({ seller, ticket });
  }
}

async function main(): Promise<void> {
  console.log(`two-processes: ${TICKETS} tickets, sold by ${SELLERS} processes\n`);
  const folder = await mkdtemp(join(tmpdir(), 'office-'));
  try {
    const free = await open(folder, 'free');
    const locked = await open(folder, 'lock');
    process.exitCode = free >= TICKETS && locked === TICKETS ? 0 : 1; // without the lock anything may happen
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Opens the office for all sellers at once; how many tickets they sold. */
async function open(folder: string, locking: 'free' | 'lock'): Promise<number> {
  await writeFile(join(folder, 'left.txt'), String(TICKETS));
  const sales = new Queue<Sale>({ capacity: 8, name: 'sales' });
  const doors = new Queue<string>({ capacity: SELLERS, name: 'doors' });
  const path = join(folder, 'office.sock');
  const till = new Mutex({ name: 'till' });
  await using server = await serve({ path, queues: { sales, doors }, mutexes: { till } });
  const sellers = Array.from({ length: SELLERS }, (_, i) => start([folder, `seller ${i + 1}`, locking]));
  const ended = Promise.all(sellers).finally(() => sales.close());
  while (server.clients < SELLERS) await pause(5);
  await doors.putManyAsync(sellers.map(() => 'open'));
  const sold: Sale[] = [];
  for await (const sale of sales) sold.push(sale);
  await ended;
  const twice = sold.length - new Set(sold.map(({ ticket }) => ticket)).size;
  const label = locking === 'lock' ? 'with the lock' : 'without';
  console.log(`  ${label.padEnd(14)} ${String(sold.length).padStart(3)} sold, ${twice} of them twice`);
  return sold.length;
}

function start(args: string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    fork(fileURLToPath(import.meta.url), args).on('exit', (code) => {
      if (code === 0) resolve();
      else reject(new Error(`a seller ended with code ${code}`));
    });
  });
}

// Output:
// two-processes: 20 tickets, sold by 4 processes
//
//   without … sold, … of them twice
//   with the lock   20 sold, 0 of them twice
