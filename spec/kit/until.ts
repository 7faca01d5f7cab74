import { setTimeout as pause } from 'node:timers/promises';

const PATIENCE = 10_000; // turns of a millisecond: a busy machine makes them longer, and one that sleeps counts for one

/** Waits for a condition, and fails instead of hanging. */
export async function until(condition: () => boolean, what: string = condition.toString()): Promise<void> {
  for (let turns = 0; !condition(); turns++) {
    if (turns > PATIENCE) throw new Error(`waited ${PATIENCE / 1000} s in vain for ${what}`);
    await pause(1);
  }
}
