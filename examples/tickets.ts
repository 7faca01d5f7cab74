// Ten buyers, three tickets, one file: what goes wrong without a lock, and what a Mutex makes of it.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { Mutex, Pool } from '../lib/index.ts';
import type * as Buyer from './tickets.worker.ts';

const TICKETS = 3;
const BUYERS = 10;

const folder = await mkdtemp(join(tmpdir(), 'tickets-'));
const file = join(folder, 'tickets.json');
const pool = new Pool<typeof Buyer>(new URL('./tickets.worker.js', import.meta.url), { threads: BUYERS });
try {
  console.log(`tickets: ${BUYERS} buyers, each in a thread of its own, and ${TICKETS} tickets in a file\n`);
  const looked = await everybodyLooks();
  const unlocked = await everybodyBuys();
  const locked = await everybodyBuys(new Mutex({ name: 'till' }));
  const exact = locked.sold === TICKETS && locked.left === 0;
  process.exitCode = looked && unlocked.sold > TICKETS && exact ? 0 : 1;
} finally {
  await pool.close();
  await rm(folder, { recursive: true });
}

/** Looking needs no lock, and so ten looks of 100 ms take no longer than one. */
async function everybodyLooks(): Promise<boolean> {
  await open();
  await together(() => pool.run({ file }, { name: 'look' })); // The first time, the threads are still starting.
  const start = performance.now();
  const seen = await together(() => pool.run({ file }, { name: 'look' }));
  const took = performance.now() - start;
  console.log(`  looking     ${BUYERS} looks of 100 ms took ${took.toFixed(0)} ms in all`);
  return seen.every((left) => left === TICKETS) && took < (BUYERS * 100) / 2;
}

/** All buyers at once, with a mutex or without one. */
async function everybodyBuys(till?: Mutex): Promise<{ sold: number; left: number }> {
  await open();
  const bought = await together(() => pool.run({ file, till }, { name: 'buy' }));
  const sold = bought.filter(Boolean).length;
  const { left } = JSON.parse(await readFile(file, 'utf8'));
  const label = till ? 'with Mutex' : 'no lock';
  const verdict = sold > TICKETS ? `oversold by ${sold - TICKETS}` : 'not one too many';
  console.log(
    `  ${label.padEnd(10)}  ${count(sold)} bought, ${count(BUYERS - sold)} "sold out", ${left} left: ${verdict}`,
  );
  return { sold, left };
}

function open(): Promise<void> {
  return writeFile(file, JSON.stringify({ left: TICKETS }));
}

function together<T>(visit: () => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: BUYERS }, visit));
}

function count(number: number): string {
  return String(number).padStart(2);
}

// Output:
// tickets: 10 buyers, each in a thread of its own, and 3 tickets in a file
//
//   looking     10 looks of 100 ms took … ms in all
//   no lock     … bought, … "sold out", … left: oversold by …
//   with Mutex   3 bought,  7 "sold out", 0 left: not one too many
