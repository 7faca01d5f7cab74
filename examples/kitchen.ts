// Five cooks, two guests and a counter with room for five dishes: a bounded Queue between threads, and two ways to end it.
import process from 'node:process';
import { Pool, Queue, type Thread, TimeoutError } from '../lib/index.ts';
import type * as Kitchen from './kitchen.worker.ts';

type Counter = Queue<string | null>;

const MENU = ['soup', 'salad', 'curry', 'pasta', 'cake']; // one cook for each
const DISHES = 10;
const ROOM = 5;

const pool = new Pool<typeof Kitchen>(new URL('./kitchen.worker.js', import.meta.url), { threads: 1 });
try {
  console.log(`kitchen: ${MENU.length} cooks with ${DISHES} dishes each, 2 guests, a counter with room for ${ROOM}\n`);
  const results = [await fillTheCounter(), await dinner('null'), await dinner('close()')];
  process.exitCode = results.every(Boolean) ? 0 : 1;
} finally {
  await pool.close();
}

/** Nobody eats yet: five dishes find room, and the sixth put waits until one is taken. */
async function fillTheCounter(): Promise<boolean> {
  const counter: Counter = new Queue({ capacity: ROOM, name: 'counter' });
  for (let number = 1; number <= ROOM; number++) counter.put(`soup ${number}`);
  const refused = waitsInVain(() => counter.put('soup 6', { timeout: 100 }));
  console.log(`  full        ${ROOM} puts returned, the sixth ${refused ? 'found no room in 100 ms' : 'returned too'}`);

  let placed = false;
  const sixth = counter.putAsync('soup 6').then(() => {
    placed = true;
  });
  await new Promise(setImmediate);
  const waited = !placed;
  const eaten = counter.get();
  await sixth;
  console.log(`  waiting     the sixth put ${waited ? 'waited' : 'was done'} until ${eaten} was eaten`);
  return refused && waited && eaten === 'soup 1' && counter.size === ROOM;
}

/** A whole dinner, ended by one null for each guest or by closing the counter. */
async function dinner(end: 'null' | 'close()'): Promise<boolean> {
  const counter: Counter = new Queue({ capacity: ROOM, name: 'counter' });
  const eat = end === 'null' ? 'eatUntilNull' : 'eatUntilClosed';
  const guests = [pool.spawn(eat, counter, 101), pool.spawn(eat, counter, 102)];
  await everyone(MENU.map((dish, seed) => pool.spawn('cook', counter, dish, DISHES, seed)));
  if (end === 'null') counter.putMany(guests.map(() => null));
  else counter.close();
  return checkPlates(end, await everyone(guests));
}

/** Whether each dish was eaten, and each only once. */
function checkPlates(end: string, plates: string[][]): boolean {
  const eaten = plates.flat();
  const cooked = MENU.flatMap((dish) => Array.from({ length: DISHES }, (_, number) => `${dish} ${number + 1}`));
  const missing = cooked.filter((dish) => !eaten.includes(dish)).length;
  const twice = eaten.length - new Set(eaten).size;
  const shares = plates.map((plate) => plate.length).join(' + ');
  console.log(`  ${end.padEnd(10)}  ${cooked.length} cooked, ${shares} eaten, ${missing} missing, ${twice} twice`);
  return eaten.length === cooked.length && missing === 0 && twice === 0;
}

function everyone<T>(threads: Thread<T>[]): Promise<T[]> {
  return Promise.all(threads.map((thread) => thread.join()));
}

function waitsInVain(put: () => void): boolean {
  try {
    put();
  } catch (error) {
    if (error instanceof TimeoutError) return true;
    throw error;
  }
  return false;
}

// Output:
// kitchen: 5 cooks with 10 dishes each, 2 guests, a counter with room for 5
//
//   full        5 puts returned, the sixth found no room in 100 ms
//   waiting     the sixth put waited until soup 1 was eaten
//   null        50 cooked, … + … eaten, 0 missing, 0 twice
//   close()     50 cooked, … + … eaten, 0 missing, 0 twice
