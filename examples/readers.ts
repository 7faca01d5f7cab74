// Readers and writers: many look at the same time, one changes alone, and nobody ever sees half a change.
import process from 'node:process';
import { Pool, Region, RwLock } from '../lib/index.ts';
import type * as Readers from './readers.worker.ts';
import type { Account } from './readers.worker.ts';

const SUM = 10_000;
const READERS = 3;
const LOOKS = 5000; // for each reader
const WRITERS = 2;
const MOVES = 1000; // for each writer

const region = Region.current;
const account: Account = {
  halves: region.array(Int32Array, 2),
  lock: new RwLock({ name: 'account' }),
  inside: region.array(Int32Array, 2),
};
account.halves[0] = SUM;

const pool = new Pool<typeof Readers>(new URL('./readers.worker.js', import.meta.url), { threads: 1 });
try {
  console.log(`readers: ${READERS} readers and ${WRITERS} writers on one account\n`);
  const readers = Array.from({ length: READERS }, () => pool.spawn('read', account, SUM, LOOKS));
  const writers = Array.from({ length: WRITERS }, () => pool.spawn('write', account, MOVES));
  await Promise.all(writers.map((writer) => writer.join()));
  const torn = (await Promise.all(readers.map((reader) => reader.join()))).reduce((sum, one) => sum + one, 0);
  const most = account.inside[1] ?? 0;
  console.log(`  read     ${(READERS * LOOKS).toLocaleString('en-US')} looks, ${torn} of half a change`);
  console.log(`  written  ${(WRITERS * MOVES).toLocaleString('en-US')} moves, ${account.halves.join(' + ')} = ${SUM}`);
  console.log(`  together ${most > 1 ? 'more than one reader was inside at a time' : 'never more than one reader'}`);
  const right = torn === 0 && account.halves[1] === WRITERS * MOVES && account.halves[0] === SUM - WRITERS * MOVES;
  process.exitCode = right && most > 1 ? 0 : 1;
} finally {
  await pool.close();
}

// Output:
// readers: 3 readers and 2 writers on one account
//
//   read     15,000 looks, 0 of half a change
//   written  2,000 moves, 8000 + 2000 = 10000
//   together more than one reader was inside at a time
