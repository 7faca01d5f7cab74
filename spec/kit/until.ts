import { setTimeout as pause } from 'node:timers/promises';

/** Waits for a condition, and fails instead of hanging. */
export async function until(condition: () => boolean, what: string = condition.toString()): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited 10 s in vain for ${what}`);
    await pause(1);
  }
}
