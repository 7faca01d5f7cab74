/** A plan: a scenario, and how far it is explored in `npm test` and in `npm run explore`. */
import type { Scenario } from './machine.ts';

export interface Plan {
  readonly scenario: Scenario;
  /** Preemptions in a run of `npm test`; Infinity for all schedules. */
  readonly quick: number;
  /** The same of `npm run explore`. */
  readonly long: number;
}

export interface Plans {
  readonly plans: readonly Plan[];
  /** The same with the death of one thread. */
  readonly deaths: readonly Plan[];
  /** Too many threads for every schedule: for PCT. */
  readonly crowds: readonly Scenario[];
}

export const ALL: number = Number.POSITIVE_INFINITY;

export function plan(scenario: Scenario, quick: number = ALL, long: number = ALL): Plan {
  return { scenario, quick, long };
}
