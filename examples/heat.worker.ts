// A part of the rod. Each thread computes its own cells, and reads those of its neighbours.
import type { Barrier } from '../lib/index.ts';

/** The temperatures now and those of the next step; they change places after each step. */
export type Rods = readonly [Float64Array, Float64Array];

/** One step of the heat equation for the cells from `from` up to `to`; the ends of the rod keep their temperature. */
export function step(now: Float64Array, next: Float64Array, from: number, to: number): void {
  for (let cell = from; cell < to; cell++) {
    const [left = 0, here = 0, right = 0] = [now[cell - 1], now[cell], now[cell + 1]];
    next[cell] = here + 0.25 * (left - 2 * here + right);
  }
}

/** All steps of one part. Nobody begins a step before everybody has ended the one before; how often this thread came last. */
export function simulate(rods: Rods, from: number, to: number, steps: number, phase: Barrier): number {
  let [now, next] = rods;
  let last = 0;
  for (let n = 0; n < steps; n++) {
    step(now, next, from, to);
    [now, next] = [next, now];
    if (phase.wait() === 0) last++;
  }
  return last;
}
