import { measured } from './progress.ts';
import type { Measured } from './results.ts';
import { type Effort, type Scenario, titleOf } from './scenario.ts';
import { type NamedTarget, namesOf } from './targets.ts';

/** How often a target that seems to be missed is measured again: one busy moment must not decide, nor one lucky one. */
export const TIMES = 3;

/**
 * Measures the rivals of each of the targets `missed` again, alone, always {@link TIMES} times, whatever comes out. The
 * targets take turns (A B C, A B C, ...), so that a busy minute disturbs one measurement of each and not all of one.
 */
export async function measureAgain(
  missed: readonly NamedTarget[],
  scenarios: readonly Scenario[],
  effort: Effort,
): Promise<Measured[]> {
  const done: Measured[] = [];
  for (let time = 1; time <= TIMES; time++) {
    for (const [at, target] of missed.entries()) {
      const names = namesOf(target);
      const scenario = scenarios.find((candidate) => titleOf(candidate) === target.scenario);
      if (!scenario) throw new Error(`there is no scenario "${target.scenario}"`);
      const rivals = scenario.rivals.filter(({ name }) => names.has(name));
      const place = `again, ${time} of ${TIMES}, ${at + 1}/${missed.length}`;
      done.push(await measured({ ...scenario, rivals }, place, effort, names));
    }
  }
  return done;
}
