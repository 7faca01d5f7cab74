// All cities of the world through a pipeline of threads; then the same work in one thread.
import { availableParallelism } from 'node:os';
import process from 'node:process';
import { isDeepStrictEqual } from 'node:util';
import { Presets, SingleBar } from 'cli-progress';
import { codec, Pool, pipeline, Queue, type WorkerModule } from '../lib/index.ts';
import { capitals } from './capitals.ts';
import type * as Stages from './cities.worker.ts';
import { located, type Outcome } from './cities.worker.ts';
import type { Answer } from './tally.ts';

const CORES = availableParallelism();
const LOCATORS = Math.max(2, CORES);
const RECORDS = 171_075;

const work = new URL('./cities.worker.js', import.meta.url) as URL & WorkerModule<typeof Stages>;
const pool = new Pool<typeof Stages>(work, { threads: 1 });
try {
  console.log(`cities: the geohash of each, and which of ${capitals.length} capitals is the nearest\n`);
  const many = await timed('pipeline', inThreads);
  const one = await timed('one thread', (progress) => pool.spawn('alone', progress).join());
  const same = isDeepStrictEqual(many.outcome, one.outcome);
  tell(many.outcome);
  compare(many, one);
  console.log(same ? '  both ways gave the same answer' : '  the two answers DIFFER');
  process.exitCode = same ? 0 : 1;
} finally {
  await pool.close();
}

/** One thread reads, as many as there are cores locate, one counts. No queue between them holds more than 1,024 cities. */
async function inThreads(progress: Queue<number>): Promise<Outcome> {
  const line = pipeline({ module: work, name: 'read' }, { interval: 20 }).map(work, 'locate', {
    codec: located,
    threads: LOCATORS,
    ordered: false,
    errors: 'skip',
  });
  line.on('progress', ({ stages }) => progress.tryPut((stages.at(-1)?.in ?? 0) / RECORDS));
  const answer = await line.to<Answer>({ module: work, name: 'count' });
  return { ...answer, rejected: line.stats().stages[1]?.failed ?? 0 };
}

interface Timed {
  readonly outcome: Outcome;
  readonly seconds: number;
}

async function timed(label: string, work: (progress: Queue<number>) => Promise<Outcome>): Promise<Timed> {
  const progress = new Queue<number>({ capacity: 64, codec: codec.f64 });
  const shown = process.stdout.isTTY ? showBar(label, progress) : showLines(label, progress);
  const start = performance.now();
  const outcome = await work(progress).finally(() => progress.close());
  const seconds = (performance.now() - start) / 1000;
  await shown;
  return { outcome, seconds };
}

async function showBar(label: string, progress: Queue<number>): Promise<void> {
  const format = `  ${label.padEnd(12)}{bar} {percentage} %`;
  const bar = new SingleBar({ format, clearOnComplete: true }, Presets.shades_classic);
  bar.start(100, 0);
  for await (const share of progress) bar.update(Math.floor(100 * share));
  bar.stop();
}

async function showLines(label: string, progress: Queue<number>): Promise<void> {
  let next = 25;
  for await (const share of progress) {
    for (; next < 100 && 100 * share >= next; next += 25) console.log(`  ${label.padEnd(12)}${next} %`);
  }
}

function tell({ cities, rejected, capitals, meanMetres, farthest, busiest }: Outcome): void {
  console.log(`
  cities        ${whole(cities)}, and ${whole(rejected)} records that are none
  most around   ${capitals.map(([name, around]) => `${name} ${whole(around)}`).join(', ')}
  mean          ${whole(meanMetres / 1000)} km to the capital
  farthest      ${farthest.city}, ${whole(farthest.metres / 1000)} km from ${farthest.capital}
  busiest cell  ${busiest[0]} with ${whole(busiest[1])}
`);
}

function compare(many: Timed, one: Timed): void {
  const row = (label: string, ...cells: string[]) =>
    console.log(`  ${label.padEnd(30)}${cells.map((cell) => cell.padStart(10)).join('')}`);
  const run = (label: string, { outcome, seconds }: Timed) =>
    row(label, seconds.toFixed(2), whole(outcome.cities / seconds));
  row('', 'seconds', 'cities/s');
  run(`1 reads, ${LOCATORS} locate, 1 counts`, many);
  run('one thread', one);
  row(`speed-up on ${CORES} cores`, (one.seconds / many.seconds).toFixed(2));
}

function whole(number: number): string {
  return Math.round(number).toLocaleString('en');
}

// Output:
// cities: the geohash of each, and which of 195 capitals is the nearest
//
//   pipeline    25 %
//   pipeline    50 %
//   pipeline    75 %
//   one thread  25 %
//   one thread  50 %
//   one thread  75 %
//
//   cities        171,075, and 0 records that are none
//   most around   Mexico City 11,121, Washington 8,959, Ottawa 6,242
//   mean          432 km to the capital
//   farthest      Kodiak Station US, 5,196 km from Ottawa
//   busiest cell  u0qj with 187
//
//                                    seconds  cities/s
//   1 reads, … locate, 1 counts …
//   one thread …
//   speed-up on … cores …
//   both ways gave the same answer
