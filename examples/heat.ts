// Heat in a rod, by threads that compute a part each: a Barrier keeps their steps together, and the result is that of one thread.
import process from 'node:process';
import { Barrier, Pool, Region } from '../lib/index.ts';
import type * as Heat from './heat.worker.ts';
import { type Rods, step } from './heat.worker.ts';

const CELLS = 20_000;
const STEPS = 500;
const THREADS = 2;

const alone = compute();
const rods: Rods = [
  newRod(Region.current.array(Float64Array, CELLS)),
  newRod(Region.current.array(Float64Array, CELLS)),
];
const phase = new Barrier({ parties: THREADS, name: 'phase' });
const pool = new Pool<typeof Heat>(new URL('./heat.worker.js', import.meta.url), { threads: 1 });
try {
  console.log(`heat: a rod of ${CELLS.toLocaleString('en-US')} cells, ${STEPS} steps, ${THREADS} threads\n`);
  const bounds = Array.from({ length: THREADS + 1 }, (_, part) => 1 + Math.round((part * (CELLS - 2)) / THREADS));
  const parts = bounds.slice(1).map((to, part) => pool.spawn('simulate', rods, bounds[part] ?? 1, to, STEPS, phase));
  const released = (await Promise.all(parts.map((part) => part.join()))).reduce((sum, one) => sum + one, 0);
  const together = rods[STEPS % 2] as Float64Array;
  const different = alone.filter((temperature, cell) => temperature !== together[cell]).length;
  const warm = together.filter((temperature) => temperature > 0).length;
  console.log(`  rounds     ${released} of ${STEPS} ended by exactly one thread`);
  console.log(`  warm       ${warm} cells`);
  console.log(`  different  ${different} cells from what one thread computes`);
  process.exitCode = different === 0 && released === STEPS ? 0 : 1;
} finally {
  await pool.close();
}

/** Cold, but for its left end. */
function newRod(rod: Float64Array): Float64Array {
  rod[0] = 100;
  return rod;
}

/** The same by one thread. */
function compute(): Float64Array {
  let [now, next] = [newRod(new Float64Array(CELLS)), newRod(new Float64Array(CELLS))];
  for (let n = 0; n < STEPS; n++) {
    step(now, next, 1, CELLS - 1);
    [now, next] = [next, now];
  }
  return now;
}

// Output:
// heat: a rod of 20,000 cells, 500 steps, 2 threads
//
//   rounds     500 of 500 ended by exactly one thread
//   warm       501 cells
//   different  0 cells from what one thread computes
