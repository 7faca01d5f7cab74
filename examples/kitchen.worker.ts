// The people of the kitchen. Each function runs in a thread of its own, and the counter that it is given is the same queue for all.
import { setTimeout as pause } from 'node:timers/promises';
import type { Queue } from '../lib/index.ts';

/** Cooks so many dishes, and waits with a full hand whenever the counter is full. */
export async function cook(counter: Queue<string | null>, dish: string, dishes: number, seed: number): Promise<void> {
  const random = randomFrom(seed);
  for (let number = 1; number <= dishes; number++) {
    await pause(20 * random());
    counter.put(`${dish} ${number}`);
  }
}

/** Eats until a `null` says that this guest has had enough. */
export async function eatUntilNull(counter: Queue<string | null>, seed: number): Promise<string[]> {
  const random = randomFrom(seed);
  const eaten: string[] = [];
  for (let dish = counter.get(); dish !== null; dish = counter.get()) {
    eaten.push(dish);
    await pause(20 * random());
  }
  return eaten;
}

/** Eats until the counter is closed and empty: the loop ends by itself. */
export async function eatUntilClosed(counter: Queue<string | null>, seed: number): Promise<string[]> {
  const random = randomFrom(seed);
  const eaten: string[] = [];
  for (const dish of counter) {
    if (dish !== null) eaten.push(dish);
    await pause(20 * random());
  }
  return eaten;
}

/** Numbers from 0 to 1 that are the same in every run: a linear congruential generator with the constants of Numerical Recipes. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
