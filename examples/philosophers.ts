// Five philosophers and five forks: a deadlock that is reported and not suffered, and the order of the forks that makes it impossible.
import process from 'node:process';
import { Barrier, Mutex, Pool, Region } from '../lib/index.ts';
import type * as Philosophers from './philosophers.worker.ts';

const NAMES = ['Hypatia', 'Diotima', 'Plato', 'Zeno', 'Seneca'];
const MEALS = 1000; // for each, in the second dinner

const forks = NAMES.map((_, seat) => new Mutex({ name: `fork ${seat + 1}` }));
const forkAt = (seat: number): Mutex => forks[seat % forks.length] as Mutex; // a circle
const pool = new Pool<typeof Philosophers>(new URL('./philosophers.worker.js', import.meta.url), {
  name: 'philosopher',
  threads: 1,
});

try {
  console.log(`philosophers: ${NAMES.length} of them, ${forks.length} forks, and each needs two\n`);
  const results = [await greedily(), await inOrder()];
  process.exitCode = results.every(Boolean) ? 0 : 1;
} finally {
  await pool.close();
}

/** Each takes the left fork, and then all of them want the right one: the one who closes the circle is told, and gives way. */
async function greedily(): Promise<boolean> {
  const everybodyHasOne = new Barrier({ parties: NAMES.length });
  const dinners = NAMES.map((name, seat) =>
    pool.spawn('dineGreedily', name, forkAt(seat), forkAt(seat + 1), everybodyHasOne),
  );
  const outcomes = await Promise.all(dinners.map((dinner) => dinner.join()));
  const reports = outcomes.filter((outcome) => !outcome.endsWith(' ate'));
  const ate = outcomes.length - reports.length;
  console.log(`  left first   ${reports.length} of ${outcomes.length} closed the circle and gave way, ${ate} ate`);
  for (const step of reports.join().split('; ')) console.log(`               ${step}`);
  return reports.length === 1 && ate === NAMES.length - 1;
}

/** The fork of the lower number first: somebody can always go on. */
async function inOrder(): Promise<boolean> {
  const meals = Region.current.array(Int32Array, NAMES.length);
  const dinners = NAMES.map((_, seat) => {
    const [first, second] = [seat, (seat + 1) % NAMES.length].sort((a, b) => a - b) as [number, number];
    return pool.spawn('dineInOrder', forkAt(first), forkAt(second), meals, seat, MEALS);
  });
  await Promise.all(dinners.map((dinner) => dinner.join()));
  console.log(`  in order     ${meals.join(' + ')} meals, and nobody waited for ever`);
  return meals.every((count) => count === MEALS);
}

// Output:
// philosophers: 5 of them, 5 forks, and each needs two
//
//   left first   1 of 5 closed the circle and gave way, 4 ate
//                deadlock of 5 threads: philosopher …
//                …
//                …
//                …
//                …
//   in order     1000 + 1000 + 1000 + 1000 + 1000 meals, and nobody waited for ever
