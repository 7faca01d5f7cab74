/** What is explored of the RwLock: readers look at a plain word that writers raise, so that both inside at once is a race. */
import {
  DEAD,
  KIND_RWLOCK,
  MUTEX_WAITERS,
  MUTEX_WORD,
  OBJECT_SERIAL,
  OWNER,
  READ_ADMITTED,
  RW_DRAINING,
  RW_LINE,
  RW_LINES,
  RW_OPEN,
  RW_READERS,
  RW_SLOTS,
  RW_STATE,
  STAMP_SHIFT,
} from '../../../lib/kernel/layout.ts';
import { OwnerDiedError, TimeoutError } from '../../../lib/memory/errors.ts';
import type { RwLock } from '../../../lib/sync/rwlock.ts';
import { type Cast, Failure, type Machine, type Scenario } from './machine.ts';
import type { Protocol } from './programs.ts';
import { Scene, type Stage } from './stage.ts';

/** One use of the lock: `again` reads while it reads; `late` has a deadline that may end at any step. */
export type Use =
  | 'read'
  | 'write'
  | 'try to read'
  | 'try to write'
  | 'read again'
  | 'read, or late'
  | 'write, or late'
  | 'async: read'
  | 'async: write'
  | 'async: both'
  | 'async: read, or late';

interface RwLockScenario {
  /** What each thread does, one after another. */
  readonly uses: readonly (readonly Use[])[];
  readonly kills?: number;
  readonly timeouts?: number;
  readonly protocol?: Protocol;
}

export function rwlockScenario(name: string, options: RwLockScenario): Scenario {
  const { kills = 0, timeouts = 0 } = options;
  return { name, kills, timeouts, setup: (machine) => castOf(machine, options) };
}

function castOf(machine: Machine, { uses, protocol }: RwLockScenario): Cast {
  const scene = new Scene(machine, { threads: uses.length, protocol });
  const at = layOutRwLock(scene, uses.length);
  const data = scene.word('data');
  return {
    programs: uses.map((acts, slot) => {
      const parts = acts.map((use) => (stage: Stage) => {
        const lock = new stage.classes.RwLock(stage.at(at));
        return use.startsWith('async') ? enterAsync(stage, lock, use, data) : enter(stage, lock, use, data);
      });
      return () => scene.play(slot, ...parts);
    }),
    repair: scene.burial,
    final: () => checkEnd(machine, at, data, uses.length),
  };
}

/** An RwLock that nobody holds. */
export function layOutRwLock(scene: Scene, threads: number): number {
  const { ground } = scene;
  const at = scene.object(KIND_RWLOCK, RW_LINES + threads * RW_LINE);
  ground.set(at + MUTEX_WORD, ground.get(at + OBJECT_SERIAL) << STAMP_SHIFT);
  ground.set(at + RW_SLOTS, threads);
  ground.constant(at + RW_SLOTS, 4);
  const names = {
    gate: MUTEX_WORD,
    state: RW_STATE,
    writers: MUTEX_WAITERS,
    readers: RW_READERS,
    draining: RW_DRAINING,
  };
  for (const [name, offset] of Object.entries(names)) ground.name({ name, at: at + offset, bytes: 8 });
  for (let slot = 0; slot < threads; slot++) {
    ground.name({ name: `line ${slot}`, at: at + RW_LINES + slot * RW_LINE, bytes: 8 });
  }
  return at;
}

function enter(stage: Stage, lock: RwLock, use: Use, data: number): void {
  const isWrite = use.includes('write');
  const face = isWrite ? lock.write : lock.read;
  if (use.startsWith('try')) {
    let had = false;
    if (
      stage.tries(() => {
        had = face.tryLock();
      }, OwnerDiedError) ||
      !had
    )
      return;
  } else if (!locked(stage, lock, () => wait(stage, face, use))) return;
  if (use === 'read again') {
    lock.read.lock();
    lock.read.unlock();
  }
  if (isWrite) {
    stage.raise(data);
    stage.note('wrote', 1);
  } else stage.touch(data);
  face.unlock();
}

/** By promises; of both, all at once. */
async function enterAsync(stage: Stage, lock: RwLock, use: Use, data: number): Promise<void> {
  const read = async (): Promise<void> => {
    if (await stage.isLate(lock.read.lockAsync(use.endsWith('late') ? { timeout: 1 } : undefined))) return;
    stage.touch(data);
    lock.read.unlock();
  };
  const write = async (): Promise<void> => {
    await lock.write.lockAsync();
    stage.raise(data);
    stage.note('wrote', 1);
    lock.write.unlock();
  };
  if (use === 'async: both') await Promise.all([read(), write()]);
  else await (use === 'async: write' ? write() : read());
}

function wait(stage: Stage, face: RwLock['read'], use: Use): Error | undefined {
  if (!use.endsWith('late')) {
    face.lock();
    return undefined;
  }
  return stage.timed(() => stage.tries(() => void face.lock({ timeout: 1 }), TimeoutError));
}

/** Whether it was locked; a lock whose owner has died is put in order, and let go. */
function locked(stage: Stage, lock: RwLock, wait: () => Error | undefined): boolean {
  let late: Error | undefined;
  const died = stage.tries(() => {
    late = wait();
  }, OwnerDiedError);
  if (died) lock.recover(() => {});
  return !died && !late;
}

function checkEnd({ ground, threads, dead }: Machine, at: number, data: number, count: number): void {
  const wrote = threads.flatMap(({ said }) => said).length;
  const written = ground.get(data);
  if (written < wrote || written > wrote + (dead ? 1 : 0)) throw new Failure(`written ${wrote} times: ${written}`);
  for (const set of [MUTEX_WAITERS, RW_READERS, RW_DRAINING]) {
    if (ground.get(at + set) !== 0) throw new Failure('somebody is left in a wait set');
  }
  for (let slot = 0; slot < count; slot++) {
    const line = at + RW_LINES + slot * RW_LINE;
    // a try that was in vain leaves its mark, which does not count while its thread is not in the set
    if (ground.get(line) !== 0 || ground.get(line + 4) === READ_ADMITTED) throw new Failure(`line ${slot} is left`);
  }
  const owner = ground.get(at + MUTEX_WORD) & OWNER;
  if (dead && owner === DEAD) return;
  if (owner !== 0) throw new Failure(`thread ${owner - 1} is left as the writer`);
  if (ground.get(at + RW_STATE) !== RW_OPEN) throw new Failure('it is left barred');
}
