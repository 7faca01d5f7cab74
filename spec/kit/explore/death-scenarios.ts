/**
 * What is explored of two deaths at the mutex and the ring. The supervisor is the one that ships, and so is the mutex; the
 * queue is the one of queues.ts.
 */
import './one-core.ts';
import {
  BLOCK_FREE,
  KIND_MUTEX,
  KIND_QUEUE,
  MUTEX_BYTES,
  MUTEX_STARVING,
  MUTEX_WAITERS,
  MUTEX_WORD,
  OBJECT_SERIAL,
  DEAD as OWNER_IS_DEAD,
  STAMP_SHIFT,
  THREAD_SENDING,
} from '../../../lib/kernel/layout.ts';
import { OwnerDiedError } from '../../../lib/memory/errors.ts';
import { type Deaths, partsOf } from './deaths.ts';
import { type Cast, Failure, type Machine, type Scenario } from './machine.ts';
import type { Protocol } from './programs.ts';
import { Queue } from './queues.ts';
import { checkItems, itemsOf, type Role } from './ring-scenarios.ts';
import { Ring, type RingOptions } from './rings.ts';
import { Scene, type Stage } from './stage.ts';

interface MutexDeaths {
  readonly threads: number;
  readonly deaths: Deaths;
  readonly protocol?: Protocol;
}

/** Each thread locks the mutex, or recovers it, raises a count under it, and unlocks. */
export function mutexDeaths(name: string, options: MutexDeaths): Scenario {
  return { name, kills: 2, setup: (machine) => mutexCast(machine, options) };
}

function mutexCast(machine: Machine, { threads, deaths, protocol }: MutexDeaths): Cast {
  const { ground } = machine;
  const parts = partsOf(ground, threads, deaths);
  const scene = new Scene(machine, { threads: parts.slots, supervisors: parts.supervisors, protocol });
  const at = scene.object(KIND_MUTEX, MUTEX_BYTES);
  const free = ground.get(at + OBJECT_SERIAL) << STAMP_SHIFT;
  ground.set(at + MUTEX_WORD, free);
  ground.name({ name: 'mutex word', at: at + MUTEX_WORD, bytes: 4 });
  ground.name({ name: 'starving', at: at + MUTEX_STARVING, bytes: 4 });
  ground.name({ name: 'waiters', at: at + MUTEX_WAITERS, bytes: 64 });
  const count = scene.word('count');
  return {
    ...parts.cast,
    programs: Array.from({ length: threads }, (_, slot) => () => scene.play(slot, (stage) => raises(stage, at, count))),
    repair: scene.burial,
    final: () => checkMutex(machine, at, free, ground.get(count)),
  };
}

function raises(stage: Stage, at: number, count: number): void {
  const mutex = new stage.classes.Mutex(stage.at(at));
  const work = (): void => {
    stage.raise(count);
    stage.note('raised', 1);
  };
  const died = stage.tries(() => void mutex.lock(), OwnerDiedError);
  if (died) {
    mutex.recover(work);
    return;
  }
  work();
  mutex.unlock();
}

function checkMutex({ ground, threads, died }: Machine, at: number, free: number, count: number): void {
  const raised = threads.flatMap(({ said }) => said).length;
  if (count < raised || count > raised + died.length) throw new Failure(`raised ${raised} times: ${count}`);
  const word = ground.get(at + MUTEX_WORD);
  if (word !== free && word !== (free | OWNER_IS_DEAD)) throw new Failure(`the word is left ${word}`);
  if (ground.get(at + MUTEX_WAITERS) !== 0) throw new Failure('somebody is left in the wait set');
}

interface RingDeaths extends RingOptions {
  readonly roles: readonly Role[];
  readonly deaths: Deaths;
  /** How many items are lost with the dead at the most: those that they had just taken. */
  readonly lost: number;
}

export function ringDeaths(name: string, options: RingDeaths): Scenario {
  return { name, kills: 2, setup: (machine) => ringCast(machine, options) };
}

function ringCast(machine: Machine, options: RingDeaths): Cast {
  const { roles, deaths, protocol } = options;
  const { ground } = machine;
  const parts = partsOf(ground, roles.length, deaths);
  const scene = new Scene(machine, { threads: parts.slots, supervisors: parts.supervisors, protocol });
  const ring = new Ring(machine, options);
  scene.knows(ring.at, KIND_QUEUE);
  for (let slot = 0; slot < parts.slots; slot++) ground.shared(ground.record(slot) + THREAD_SENDING, 8); // a burial looks
  return {
    ...parts.cast,
    programs: roles.map((role, slot) => () => role(new Queue(machine, ring, options, slot), slot)),
    repair: scene.burial,
    invariant: () => ring.invariant(),
    final: () => checkRing(machine, ring, options),
    maySleep: (thread) => ring.isVainFor(thread),
  };
}

/** All claims are buried and all blocks are free, or hold an item that can be taken; no item is lost but in a hand that died. */
function checkRing(machine: Machine, ring: Ring, { lost }: RingDeaths): void {
  const { died } = machine;
  const left = ring.blocks.find(({ state, isInRing }) => state !== BLOCK_FREE && !isInRing);
  if (left) throw new Failure(`a block is left in state ${left.state}`);
  const maybe = died.flatMap(({ slot }) => itemsOf(slot, 9));
  checkItems(machine, ring, ring.drain(), { lost: died.length > 0 ? lost : 0, maybe });
  if (ring.size !== 0) throw new Failure(`${ring.size} items are left that nobody can take`);
}
