/** Two deaths in a run: whose they may be, and who repairs. */
import { ancestorsIn } from '../../../lib/memory/ancestors.ts';
import type { Ground } from './ground.ts';
import { type Cast, REPAIRER } from './machine.ts';

/**
 * The threads in slots 0 and 1 die, and one supervisor repairs one after the other, or two at the same time; or the first thread
 * dies, whose supervisor may die as well, before or after it or at any step of its repair, and the supervisor of that repairs.
 */
export const DEATHS = ['two, repaired in turn', 'two, repaired at once', 'a thread and its supervisor'] as const;
export type Deaths = (typeof DEATHS)[number];

interface Parts {
  /** Of the threads table. */
  readonly slots: number;
  readonly supervisors: readonly number[];
  readonly cast: Partial<Cast>;
}

/** What that means for a scenario with so many programs. Who is alike need not die in turn: the first two stand for all. */
export function partsOf(ground: Ground, programs: number, deaths: Deaths | undefined): Parts {
  if (deaths === undefined) return { slots: programs, supervisors: [REPAIRER], cast: {} };
  if (deaths === 'two, repaired in turn')
    return { slots: programs, supervisors: [REPAIRER], cast: { mortals: [0, 1] } };
  const supervisors = [programs, programs + 1];
  if (deaths === 'two, repaired at once')
    return { slots: programs, supervisors, cast: { supervisors, mortals: [0, 1] } };
  ancestorsIn(ground.i32, ground.record(0)).set([programs + 1]); // its claim
  return { slots: programs + 1, supervisors, cast: { supervisors, mortals: [0, programs] } };
}
