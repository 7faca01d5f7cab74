// What a buyer does. The functions that this module exports run in the threads of a pool.
import { readFile, rename, writeFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { threadId } from 'node:worker_threads';
import type { Mutex } from '../lib/index.ts';

export interface Box {
  /** A JSON file that says how many tickets are left. */
  readonly file: string;
  /** Who holds it may sell. */
  readonly till?: Mutex | undefined;
}

/** Looks how many are left: no lock, so everybody may look at once. */
export async function look({ file }: Box): Promise<number> {
  await pause(100);
  return ticketsIn(file);
}

/** Buys one ticket; `false` when there is none. The mutex came with the payload and is the same one in every thread. */
export async function buy({ file, till }: Box): Promise<boolean> {
  return till ? till.withAsync(() => sellFrom(file)) : sellFrom(file);
}

async function sellFrom(file: string): Promise<boolean> {
  const left = await ticketsIn(file);
  await pause(100);
  if (left === 0) return false;
  await pause(100);
  await store(file, left - 1);
  return true;
}

async function ticketsIn(file: string): Promise<number> {
  return JSON.parse(await readFile(file, 'utf8')).left;
}

/** Written beside and then renamed, so that nobody who looks meets half a file. */
async function store(file: string, left: number): Promise<void> {
  const beside = `${file}.${threadId}`;
  await writeFile(beside, JSON.stringify({ left }));
  await rename(beside, file);
}
