// 171,075 cities through three stages of threads with queues between them, and again in one thread for comparison.
import { availableParallelism } from 'node:os';
import process from 'node:process';
import { isDeepStrictEqual } from 'node:util';
import { Presets, SingleBar } from 'cli-progress';
import { codec, Pool, Queue, type Thread } from '../lib/index.ts';
import { capitals } from './capitals.ts';
import type * as Cities from './cities.worker.ts';
import type { City } from './cities.worker.ts';
import type { Answer, Located } from './tally.ts';

const CORES = availableParallelism();
const LOCATORS = Math.max(2, CORES);
const CAPACITY = 1024; // What waits in a queue is never more, however large the file is.

const pool = new Pool<typeof Cities>(new URL('./cities.worker.js', import.meta.url), { threads: 1 });
try {
  console.log(`cities: the geohash of each and the nearest of ${capitals.length} capitals\n`);
  const many = await run('pipeline', pipeline);
  const one = await run('one thread', (progress) => pool.spawn('alone', progress).join());
  const same = isDeepStrictEqual(many.answer, one.answer);
  tell(many.answer);
  compare(many, one, same);
  process.exitCode = same ? 0 : 1;
} finally {
  await pool.close();
}

/** One thread reads, as many as there are cores locate, one counts. */
async function pipeline(progress: Queue<number>): Promise<Answer> {
  const cities = new Queue<City>({ capacity: CAPACITY, name: 'cities' });
  const located = new Queue<Located>({ capacity: CAPACITY, name: 'located' });
  const locators = Array.from({ length: LOCATORS }, () => pool.spawn('locate', cities, located));
  const [, , [answer]] = await Promise.all([
    stage([pool.spawn('read', cities, progress)], [cities]),
    stage(locators, [cities, located]),
    stage([pool.spawn('count', located)], [located]),
  ]);
  return answer as Answer;
}

/** A stage that is over, well or not, closes the queues on both its sides: the next one drains and ends, and nobody waits for ever. */
async function stage<T>(threads: Thread<T>[], queues: { close(): void }[]): Promise<T[]> {
  try {
    return await Promise.all(threads.map((thread) => thread.join()));
  } finally {
    for (const queue of queues) queue.close();
  }
}

interface Timed {
  readonly answer: Answer;
  readonly seconds: number;
}

async function run(label: string, work: (progress: Queue<number>) => Promise<Answer>): Promise<Timed> {
  const progress = new Queue({ capacity: 64, codec: codec.f64 });
  const shown = process.stdout.isTTY ? showBar(label, progress) : showLines(label, progress);
  const start = performance.now();
  const answer = await work(progress).finally(() => progress.close());
  const seconds = (performance.now() - start) / 1000;
  await shown;
  return { answer, seconds };
}

async function showBar(label: string, progress: Queue<number>): Promise<void> {
  const bar = new SingleBar(
    { format: `  ${label} {bar} {percentage} %`, clearOnComplete: true },
    Presets.shades_classic,
  );
  bar.start(100, 0);
  for await (const share of progress) bar.update(Math.round(100 * share));
  bar.stop();
}

async function showLines(label: string, progress: Queue<number>): Promise<void> {
  let next = 0.25;
  for await (const share of progress) {
    if (share < next) continue;
    console.log(`  ${label.padEnd(12)}${(100 * next).toFixed(0)} %`);
    next += 0.25;
  }
}

function tell({ cities, capitals, meanKm, farthest, busiest }: Answer): void {
  const [cell, most] = busiest;
  const names = capitals.map(([name, nearest]) => `${name} ${nearest.toLocaleString('en')}`);
  console.log(`
  cities        ${cities.toLocaleString('en')}
  most around   ${names.join(', ')}
  mean          ${meanKm.toFixed(3)} km to the capital
  farthest      ${farthest.city}, ${(farthest.metres / 1000).toFixed(3)} km from ${farthest.capital}
  busiest cell  ${cell}, ${most.toLocaleString('en')} cities
`);
}

function compare(many: Timed, one: Timed, same: boolean): void {
  const row = (label: string, { answer, seconds }: Timed): string =>
    `  ${label.padEnd(40)}${seconds.toFixed(2).padStart(6)} s  ${Math.round(answer.cities / seconds)} cities/s`;
  console.log(row(`1 reads, ${LOCATORS} locate, 1 counts, on ${CORES} cores`, many));
  console.log(row('one thread', one));
  console.log(
    `  ${(one.seconds / many.seconds).toFixed(1)} times as fast, and ${same ? 'the same answer' : 'NOT the same answer'}`,
  );
}
