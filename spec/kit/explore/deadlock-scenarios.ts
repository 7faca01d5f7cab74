/**
 * What is explored of the look for deadlocks, as it ships: each load of it is a step.
 *
 * Who finds a deadlock notes it and waits on. So it was none if the thread goes on later; and when nobody can go on any more,
 * the words of the locks say who waits for whom: who has noted one is in a cycle, and in each cycle somebody has.
 */
import {
  KIND_RLOCK,
  MUTEX_WAITERS,
  MUTEX_WORD,
  OBJECT_SERIAL,
  OWNER,
  READ_HELD,
  RLOCK_BYTES,
  RW_DRAINING,
  RW_LINE,
  RW_LINES,
  RW_READERS,
  STAMP_SHIFT,
} from '../../../lib/kernel/layout.ts';
import { TimeoutError } from '../../../lib/memory/errors.ts';
import { layOutMutex } from './condition-scenarios.ts';
import { type Cast, Failure, type Machine, type Scenario } from './machine.ts';
import type { Protocol } from './programs.ts';
import { layOutRwLock } from './rwlock-scenarios.ts';
import { Scene, type Stage } from './stage.ts';
import { ASLEEP } from './thread.ts';

type Lock = 'mutex A' | 'mutex B' | 'mutex C' | 'rlock' | 'rwlock';

/** What a thread does, and with which lock. `late` has a deadline that may end at any step; after it the thread only unlocks. */
export type LockAct =
  | `${'lock' | 'lock, or late:' | 'unlock'} ${Exclude<Lock, 'rwlock'>}`
  | `${'read' | 'write' | 'read, done:' | 'write, done:'} rwlock`;

interface DeadlockScenario {
  /** What each thread does, one after another. */
  readonly acts: readonly (readonly LockAct[])[];
  readonly timeouts?: number;
  readonly protocol?: Protocol;
}

export function deadlockScenario(name: string, options: DeadlockScenario): Scenario {
  const { timeouts = 0 } = options;
  return { name, timeouts, setup: (machine) => castOf(machine, options) };
}

type Locks = ReadonlyMap<string, number>;

const nameOf = (act: LockAct): string => /(mutex .|rlock|rwlock)$/.exec(act)?.[0] ?? '';

function castOf(machine: Machine, { acts, protocol }: DeadlockScenario): Cast {
  const threads = acts.length;
  const scene = new Scene(machine, { threads, publishes: true, ignoresDeadlocks: true, protocol });
  const locks = new Map<string, number>();
  for (const name of new Set(acts.flat().map(nameOf))) {
    locks.set(
      name,
      name === 'rwlock' ? layOutRwLock(scene, threads) : name === 'rlock' ? layOutRLock(scene) : layOutMutex(scene),
    );
  }
  return {
    programs: acts.map((mine, slot) => {
      const parts = mine.map((act) => (stage: Stage) => does(stage, act, locks.get(nameOf(act)) as number));
      return () => scene.play(slot, ...parts);
    }),
    maySleep: () => true,
    final: () => checkEnd(machine, locks, threads),
  };
}

function layOutRLock(scene: Scene): number {
  const at = scene.object(KIND_RLOCK, RLOCK_BYTES);
  scene.ground.set(at + MUTEX_WORD, scene.ground.get(at + OBJECT_SERIAL) << STAMP_SHIFT);
  scene.ground.name({ name: 'rlock word', at: at + MUTEX_WORD, bytes: 4 });
  return at;
}

function does(stage: Stage, act: LockAct, at: number): void {
  const { Mutex, RLock, RwLock } = stage.classes;
  const place = stage.at(at);
  if (act.endsWith('rwlock')) {
    const face = new RwLock(place)[act.startsWith('read') ? 'read' : 'write'];
    if (act.includes('done')) face.unlock();
    else face.lock();
    return;
  }
  const lock = act.endsWith('rlock') ? new RLock(place) : new Mutex(place);
  if (act.startsWith('unlock')) {
    // for an instant it may be handed to one that has given up: `owner` names it then, and it does not hold it
    if (!(lock instanceof Mutex) || lock.held) lock.unlock();
  } else if (!act.includes('late')) lock.lock();
  else stage.timed(() => stage.tries(() => void lock.lock({ timeout: 1 }), TimeoutError));
}

function checkEnd(machine: Machine, locks: Locks, threads: number): void {
  const hasFound = machine.threads.filter(({ said }) => said.some(({ what }) => what === 'deadlock'));
  const woke = hasFound.filter(({ state }) => state !== ASLEEP);
  if (woke.length > 0) throw new Failure(`thread ${woke[0]?.slot} has found a deadlock, and went on`);
  const asleep = machine.threads.filter(({ state }) => state === ASLEEP).map(({ slot }) => slot);
  const waitsFor = new Map(asleep.map((slot) => [slot, ownersFor(machine, locks, threads, slot)]));
  if (asleep.some((slot) => waitsFor.get(slot)?.length === 0)) throw new Failure(`${asleep} sleep, and one for nobody`);
  const found = hasFound.map(({ slot }) => slot);
  const inCycle = asleep.filter((slot) => reaches(waitsFor, slot, slot));
  const wrong = found.filter((slot) => !inCycle.includes(slot));
  if (wrong.length > 0) throw new Failure(`thread ${wrong} has found a deadlock that it is not in`);
  for (const slot of inCycle) {
    const cycle = inCycle.filter((other) => reaches(waitsFor, slot, other) && reaches(waitsFor, other, slot));
    const reports = found.filter((other) => cycle.includes(other)).length;
    if (reports === 0) throw new Failure(`nobody has found the deadlock of ${cycle}`);
    if (reports > 1) throw new Failure(`the deadlock of ${cycle} was found ${reports} times`);
  }
}

/** For whom a thread sleeps, by the words of the locks and their wait sets. */
function ownersFor({ ground, solo }: Machine, locks: Locks, threads: number, slot: number): number[] {
  const owners: number[] = [];
  for (const [name, at] of locks) {
    const waitsIn = (set: number): boolean => solo('isRegistered', at + set, slot) !== 0;
    const owner = (ground.get(at + MUTEX_WORD) & OWNER) - 1;
    if (waitsIn(MUTEX_WAITERS) || (name === 'rwlock' && waitsIn(RW_READERS))) owners.push(owner);
    if (name !== 'rwlock' || !waitsIn(RW_DRAINING)) continue;
    for (let other = 0; other < threads; other++) {
      if (ground.get(at + RW_LINES + other * RW_LINE + READ_HELD) > 0) owners.push(other);
    }
  }
  return owners.filter((owner) => owner >= 0);
}

function reaches(waitsFor: ReadonlyMap<number, readonly number[]>, from: number, to: number): boolean {
  const seen = new Set<number>();
  const walk = (slot: number): boolean =>
    (waitsFor.get(slot) ?? []).some((next) => {
      if (next === to) return true;
      if (seen.has(next)) return false;
      seen.add(next);
      return walk(next);
    });
  return walk(from);
}
