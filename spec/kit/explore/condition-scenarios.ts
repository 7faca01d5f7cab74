/** What is explored of the condition: each notification frees one of those who wait, and no other is freed. */
import {
  CONDITION_COUNTS,
  CONDITION_MUTEX,
  CONDITION_MUTEX_KIND,
  CONDITION_MUTEX_SERIAL,
  CONDITION_NEXT,
  CONDITION_WAITERS,
  KIND_CONDITION,
  KIND_MUTEX,
  MUTEX_BYTES,
  MUTEX_WAITERS,
  MUTEX_WORD,
  OBJECT_SERIAL,
  STAMP_SHIFT,
} from '../../../lib/kernel/layout.ts';
import { OwnerDiedError, TimeoutError } from '../../../lib/memory/errors.ts';
import { type Cast, Failure, type Machine, type Scenario } from './machine.ts';
import type { Protocol } from './programs.ts';
import { Scene, type Stage } from './stage.ts';
import { ASLEEP, type VirtualThread } from './thread.ts';

/** What a thread does under the mutex. */
export type Deed =
  | 'wait'
  | 'wait, or late'
  | 'notify'
  | 'notify all'
  | 'async: wait'
  | 'async: two wait'
  | 'async: wait, or late';

interface ConditionScenario {
  /** What each thread does, one after another. */
  readonly deeds: readonly (readonly Deed[])[];
  readonly kills?: number;
  readonly timeouts?: number;
  readonly protocol?: Protocol;
}

export function conditionScenario(name: string, options: ConditionScenario): Scenario {
  const { kills = 0, timeouts = 0 } = options;
  return { name, kills, timeouts, setup: (machine) => castOf(machine, options) };
}

/** Plain words that the mutex guards: who waits and was not notified; who was, and has not gone on yet. */
interface Counts {
  readonly waiting: number;
  readonly owed: number;
}

function castOf(machine: Machine, { deeds, protocol }: ConditionScenario): Cast {
  const threads = deeds.length;
  const noted = {
    conditionTake: (n: number) => n,
    conditionForget: (n: number) => -n,
    conditionNotify: (slot: number) => (slot >= 0 ? 1 : 0),
  };
  const scene = new Scene(machine, { threads, noted, protocol });
  const mutex = layOutMutex(scene);
  const { ground } = machine;
  const at = scene.object(KIND_CONDITION, CONDITION_COUNTS + threads * 8);
  ground.set(at + CONDITION_MUTEX, mutex);
  ground.set(at + CONDITION_MUTEX_KIND, KIND_MUTEX);
  ground.set(at + CONDITION_MUTEX_SERIAL, ground.get(mutex + OBJECT_SERIAL));
  ground.name({ name: 'counts', at: at + CONDITION_COUNTS, bytes: threads * 8 });
  const why = 'where the search for a waiter begins, no more: the supervisor looks without the mutex';
  ground.name({ name: 'next to notify', at: at + CONDITION_NEXT, bytes: 4, benign: why });
  const counts = { waiting: scene.word('waiting'), owed: scene.word('owed') };
  return {
    programs: deeds.map((acts, slot) => {
      const parts = acts.map(
        (deed) => (stage: Stage) =>
          deed.startsWith('async') ? waitsAsync(stage, at, deed, counts) : does(stage, at, deed, counts),
      );
      return () => scene.play(slot, ...parts);
    }),
    repair: scene.burial,
    maySleep: () => true,
    final: () => checkEnd(machine, mutex, at, counts, deeds.flat().includes('async: two wait')),
  };
}

/** A mutex that nobody holds. */
export function layOutMutex(scene: Scene): number {
  const { ground } = scene;
  const at = scene.object(KIND_MUTEX, MUTEX_BYTES);
  ground.set(at + MUTEX_WORD, ground.get(at + OBJECT_SERIAL) << STAMP_SHIFT);
  ground.name({ name: 'mutex word', at: at + MUTEX_WORD, bytes: 4 });
  ground.name({ name: 'waiters of the mutex', at: at + MUTEX_WAITERS, bytes: 64 });
  return at;
}

function does(stage: Stage, at: number, deed: Deed, { waiting, owed }: Counts): void {
  const condition = new stage.classes.Condition(stage.at(at));
  const isOver = stage.tries(() => void condition.mutex.lock(), OwnerDiedError);
  if (isOver) return;
  if (deed.startsWith('notify')) {
    const [all, before] = [stage.touch(waiting), stage.touch(owed)];
    const freed = deed === 'notify' ? Math.min(all, 1) : all;
    stage.touch(waiting, all - freed);
    stage.touch(owed, before + freed);
    if (deed === 'notify') condition.notify();
    else condition.notifyAll();
  } else {
    stage.touch(waiting, stage.touch(waiting) + 1);
    const wait = () => condition.wait(deed === 'wait' ? undefined : { timeout: 1 });
    const ended = deed === 'wait' ? stage.tries(wait, OwnerDiedError) : lateWait(stage, wait);
    if (ended instanceof OwnerDiedError) return;
    const counted = ended ? waiting : owed;
    const left = stage.touch(counted);
    if (left < 1) throw new Error(ended ? 'it was notified, and says that it is late' : 'it was freed by nobody');
    stage.touch(counted, left - 1);
  }
  condition.mutex.unlock();
}

/** By promises: one, or two at once. */
async function waitsAsync(stage: Stage, at: number, deed: Deed, { waiting, owed }: Counts): Promise<void> {
  const condition = new stage.classes.Condition(stage.at(at));
  const wait = async (): Promise<void> => {
    await condition.mutex.lockAsync();
    stage.touch(waiting, stage.touch(waiting) + 1);
    const isLate = await stage.isLate(condition.waitAsync(deed.endsWith('late') ? { timeout: 1 } : undefined));
    const counted = isLate ? waiting : owed;
    const left = stage.touch(counted);
    if (left < 1) throw new Error(isLate ? 'it was notified, and says that it is late' : 'it was freed by nobody');
    stage.touch(counted, left - 1);
    condition.mutex.unlock();
  };
  await Promise.all(deed === 'async: two wait' ? [wait(), wait()] : [wait()]);
}

function lateWait(stage: Stage, wait: () => void): Error | undefined {
  return stage.timed(() => stage.tries<Error>(wait, TimeoutError, OwnerDiedError));
}

/** What the call did in which a thread died: it could not say so any more. */
function unsaid(dead: VirtualThread | undefined): number {
  if (dead?.request?.kind !== 'call') return 0;
  return { conditionNotify: -1, conditionTake: 1 }[dead.request.name as string] ?? 0;
}

function checkEnd(
  { ground, threads, dead }: Machine,
  mutex: number,
  at: number,
  counts: Counts,
  someWaitTwice: boolean,
): void {
  const asleep = threads.filter(({ state }) => state === ASLEEP).length;
  const sum = (what: string) =>
    threads.flatMap(({ said }) => said).reduce((all, note) => all + (note.what === what ? note.value : 0), 0);
  if (!dead && sum('conditionTake') > sum('conditionNotify'))
    throw new Failure('more notifications were taken than given');
  const lost = sum('conditionNotify') + sum('conditionForget') - sum('conditionTake');
  if (asleep > 0 && lost !== 0 && lost !== unsaid(dead))
    throw new Failure(`${lost} notifications are lost, and ${asleep} wait`);
  if (ground.get(mutex + MUTEX_WAITERS) !== 0) throw new Failure('somebody waits for the mutex for ever');
  if (dead) return;
  const [waiting, owed] = [ground.get(counts.waiting), ground.get(counts.owed)];
  if (owed !== 0) throw new Failure(`${owed} were notified and not freed`);
  const expected = someWaitTwice ? Math.min(waiting, asleep) || Math.min(waiting, 1) : waiting;
  if (asleep !== expected) throw new Failure(`${asleep} sleep, ${waiting} should`);
  if (asleep === 0 && ground.get(at + CONDITION_WAITERS) !== 0) throw new Failure('somebody is left in the wait set');
}
