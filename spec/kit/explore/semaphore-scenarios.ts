/** What is explored of the semaphore: there are never more permits than at first, and none is lost. */
import {
  KIND_SEMAPHORE,
  SEMAPHORE_MAX,
  SEMAPHORE_SHARES,
  SEMAPHORE_STATE,
  SEMAPHORE_WAITERS,
  SHARE_HELD,
  SHARE_SHIFT,
} from '../../../lib/kernel/layout.ts';
import { TimeoutError } from '../../../lib/memory/errors.ts';
import { type Cast, Failure, type Machine, type Scenario } from './machine.ts';
import type { Protocol } from './programs.ts';
import { Scene, type Stage } from './stage.ts';

/** How a thread takes permits. */
export interface Taker {
  /** How many each time; it gives them back before the next. */
  readonly takes: readonly number[];
  readonly timed?: boolean;
  /** Never waits. */
  readonly tries?: boolean;
  /** Gives none back. */
  readonly keeps?: boolean;
  /** Has them at first, and only gives. */
  readonly gives?: boolean;
  /** By promises, all of them at once; a deadline is that of the first. */
  readonly async?: boolean;
}

interface SemaphoreScenario {
  readonly permits: number;
  readonly takers: readonly Taker[];
  readonly kills?: number;
  readonly timeouts?: number;
  readonly protocol?: Protocol;
}

export function semaphoreScenario(name: string, options: SemaphoreScenario): Scenario {
  const { kills = 0, timeouts = 0 } = options;
  return { name, kills, diesAtGuards: true, timeouts, setup: (machine) => castOf(machine, options) };
}

function castOf(machine: Machine, { permits, takers, kills = 0, protocol }: SemaphoreScenario): Cast {
  const threads = takers.length;
  const scene = new Scene(machine, { threads, protocol });
  const { ground } = machine;
  const at = scene.object(KIND_SEMAPHORE, SEMAPHORE_SHARES + (threads << SHARE_SHIFT));
  const sum = (some: readonly Taker[]): number => some.flatMap(({ takes }) => takes).reduce((all, n) => all + n, 0);
  ground.set(at + SEMAPHORE_STATE, permits - sum(takers.filter(({ gives }) => gives)));
  ground.set(at + SEMAPHORE_MAX, permits);
  ground.constant(at + SEMAPHORE_MAX, 4);
  ground.name({ name: 'permits and turn', at: at + SEMAPHORE_STATE, bytes: 8 });
  ground.name({ name: 'waiters', at: at + SEMAPHORE_WAITERS, bytes: 64 });
  const why = 'a burial takes a share as it was; what another thread takes or gives just then is not of the dead';
  ground.name({ name: 'share', at: at + SEMAPHORE_SHARES, bytes: threads << SHARE_SHIFT, benign: why });
  for (let slot = 0; slot < threads && kills === 0; slot++) {
    ground.private(at + SEMAPHORE_SHARES + (slot << SHARE_SHIFT) + SHARE_HELD, 8, slot);
  }
  const counter = permits === 1 ? scene.word('counter') : 0;
  return {
    programs: takers.map((taker, slot) => {
      const acts = taker.takes.map((n) => (stage: Stage) => takes(stage, at, n, taker, counter));
      return () =>
        taker.async ? scene.play(slot, (stage) => takesAsync(stage, at, taker, counter)) : scene.play(slot, ...acts);
    }),
    repair: scene.burial,
    invariant: () => checkPermits(machine, ground.get(at + SEMAPHORE_STATE), permits),
    final: () => {
      const left = ground.get(at + SEMAPHORE_STATE) + sum(takers.filter(({ keeps }) => keeps));
      if (left !== permits) throw new Failure(`${permits} permits at first, ${left} at last`);
      if (ground.get(at + SEMAPHORE_WAITERS) !== 0) throw new Failure('somebody is left in the wait set');
    },
  };
}

function takes(stage: Stage, at: number, n: number, { timed, tries, keeps, gives }: Taker, counter: number): void {
  const semaphore = new stage.classes.Semaphore(stage.at(at));
  if (gives) {
    semaphore.release(n);
    return;
  }
  if (tries && !semaphore.tryAcquire(n)) return;
  const late = timed && stage.timed(() => stage.tries(() => semaphore.acquire(n, { timeout: 1 }), TimeoutError));
  if (late) return;
  if (!tries && !timed) semaphore.acquire(n);
  stage.note('has', n);
  if (keeps) return;
  if (counter) stage.raise(counter);
  stage.note('has', -n);
  semaphore.release(n);
}

async function takesAsync(stage: Stage, at: number, { takes, timed }: Taker, counter: number): Promise<void> {
  const semaphore = new stage.classes.Semaphore(stage.at(at));
  const take = async (n: number, i: number): Promise<void> => {
    const isLate = await stage.isLate(semaphore.acquireAsync(n, timed && i === 0 ? { timeout: 1 } : undefined));
    if (isLate) return;
    stage.note('has', n);
    if (counter) stage.raise(counter);
    stage.note('has', -n);
    semaphore.release(n);
  };
  await Promise.all(takes.map(take));
}

/** What the living have and what can be taken. */
function checkPermits({ threads, dead }: Machine, available: number, permits: number): void {
  if (available < 0) throw new Failure(`${available} permits are available`);
  let taken = 0;
  for (const thread of threads) if (thread !== dead) for (const { value } of thread.said) taken += value;
  if (taken + available > permits) throw new Failure(`${taken} are taken and ${available} are there, of ${permits}`);
}
