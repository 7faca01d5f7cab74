/** What is explored of the ring. Items are ten times the producer's slot, and a count. */
import { BLOCK_FREE } from '../../../lib/kernel/layout.ts';
import { type Cast, Failure, type Machine, type Scenario } from './machine.ts';
import { note, type Part, type Protocol, repairWaits } from './programs.ts';
import { Queue } from './queues.ts';
import { Ring, type RingOptions } from './rings.ts';
import type { VirtualThread } from './thread.ts';

/** After a kill: how many items may be lost, and which may be there though no put has returned. */
export interface Allowed {
  readonly lost?: number;
  readonly maybe?: readonly number[];
}

/** Each item that was put comes out exactly once, and those of one producer in their order. */
export function checkItems({ threads }: Machine, ring: Ring, rest: readonly number[], allowed: Allowed = {}): void {
  const { lost = 0, maybe = [] } = allowed;
  const noted = (what: string): number[][] =>
    threads.map(({ said }) => said.filter((note) => note.what === what).map(({ value }) => value));
  const [sent, got] = [[...ring.items, ...noted('put').flat()], noted('got')];
  const out = [...got.flat(), ...rest];
  const show = `put ${sent}; got ${got.map((items) => `[${items}]`).join(' ')}; left [${rest}]`;
  if (new Set(out).size !== out.length) throw new Failure(`an item came out twice: ${show}`);
  if (out.some((item) => ![...sent, ...maybe].includes(item))) throw new Failure(`nobody has put that: ${show}`);
  if (sent.filter((item) => !out.includes(item)).length > lost) throw new Failure(`an item is lost: ${show}`);
  for (const items of [...got, rest]) if (!isInOrder(items)) throw new Failure(`the order is wrong: ${show}`);
}

function isInOrder(items: readonly number[]): boolean {
  const producer = (item: number): number => Math.floor(item / 10);
  return items.every((item, i) => items.slice(0, i).every((one) => producer(one) !== producer(item) || one < item));
}

/** The repair that lets everybody look again, and does nothing for the ring itself. */
export const wakesAll =
  (protocol: Protocol): Repair =>
  ({ ground }, { sets }, { slot }) =>
    repairWaits(ground, sets, slot, protocol);

/** A thread of a scenario: its program on the queue as it has it. */
export type Role = (queue: Queue, slot: number) => Part<void>;

export type Repair = (machine: Machine, ring: Ring, dead: VirtualThread) => Part<void>;

export type Final = (machine: Machine, ring: Ring) => void;

export interface RingScenario extends RingOptions {
  readonly roles: readonly Role[];
  readonly kills?: number;
  readonly timeouts?: number;
  /** Adds to what every run checks at its end; `rest` is what was still in the ring. */
  readonly final?: Final;
  /** Whether threads may wait for what a dead one would have put or taken. */
  readonly sleepsForTheDead?: boolean;
  /** Runs as one more thread after a death. */
  readonly repair?: Repair;
}

export function ringScenario(name: string, options: RingScenario): Scenario {
  const { kills = 0, timeouts = 0 } = options;
  return {
    name,
    kills,
    timeouts,
    setup(machine) {
      const ring = new Ring(machine, options);
      return castOf(machine, ring, options);
    },
  };
}

function castOf(machine: Machine, ring: Ring, options: RingScenario): Cast {
  const { roles, final, sleepsForTheDead, repair } = options;
  return {
    programs: roles.map((role, slot) => () => role(new Queue(machine, ring, options, slot), slot)),
    ...(repair ? { repair: (dead) => repair(machine, ring, dead) } : {}),
    invariant: () => ring.invariant(),
    final: () => (final ? final(machine, ring) : checkItems(machine, ring, ring.drain())),
    maySleep: (thread) => sleepsForTheDead === true && ring.isVainFor(thread),
  };
}

/** After a death: all that was put comes out but for what the dead one had taken; nobody else is kept out. */
export const narrowEnd =
  (lost: number): Final =>
  (machine, ring) => {
    checkItems(machine, ring, ring.drain(), { lost: machine.dead ? lost : 0, maybe: itemsOfDead(machine) });
    if (ring.size !== 0) throw new Failure(`${ring.size} items are left that nobody can take`);
  };

/** After a death the supervisor buries the claim of the dead thread: all others' items can be taken. */
export const batchEnd =
  (lost: number): Final =>
  (machine, ring) => {
    const rest = ring.drain();
    if (ring.size > 0 && !machine.dead) throw new Failure(`${ring.size} items are left`);
    if (machine.dead) rest.push(...ring.bury(machine.dead.slot));
    if (ring.size > 0) throw new Failure(`${ring.size} items are left after the burial`);
    checkItems(machine, ring, rest, { lost: machine.dead ? lost : 0, maybe: itemsOfDead(machine) });
  };

/** After a death: each block is free, in the ring, or known as the dead thread's, and only one of that. */
export const blocksEnd: Final = (machine, ring) => {
  const { dead } = machine;
  for (const { block, state, isInRing } of ring.blocks) {
    const isOfDead = dead !== undefined && ring.wasHeld(block, dead.slot, dead.record);
    if (state !== BLOCK_FREE && !isInRing && !isOfDead) throw new Failure(`a block is left in state ${state}`);
    if (isOfDead && (state === BLOCK_FREE || isInRing)) throw new Failure(`a block in state ${state} would be buried`);
  }
  narrowEnd(1)(machine, ring);
};

const itemsOfDead = ({ dead }: Machine): number[] => (dead ? itemsOf(dead.slot, 9) : []);

export const itemsOf = (slot: number, count: number): number[] =>
  Array.from({ length: count }, (_, i) => 10 * (slot + 1) + i);

export const puts = (count: number): Role =>
  function* (queue, slot) {
    for (const item of itemsOf(slot, count)) if (yield* queue.put(item)) yield* note('put', item);
  };

/** Claims a block and gives it back. */
export const reserves = (count: number): Role =>
  function* (queue) {
    for (let i = 0; i < count; i++) yield* queue.giveBack(yield* queue.reserve());
  };

export const timedPut: Role = function* (queue, slot) {
  const item = 10 * (slot + 1);
  if (yield* queue.put(item, true)) yield* note('put', item);
};

export const tryPuts = (count: number): Role =>
  function* (queue, slot) {
    for (const item of itemsOf(slot, count)) if ((yield* queue.tryPut(item)) === true) yield* note('put', item);
  };

export const gets = (count: number): Role =>
  function* (queue) {
    for (let i = 0; i < count; i++) {
      const item = yield* queue.get();
      if (item !== undefined) yield* note('got', item);
    }
  };

export const timedGet: Role = function* (queue) {
  const item = yield* queue.get(true);
  if (item !== undefined) yield* note('got', item);
};

export const tryGets = (count: number): Role =>
  function* (queue) {
    for (let i = 0; i < count; i++) {
      const said = yield* queue.tryGet();
      if (typeof said === 'object') yield* note('got', said.item);
    }
  };

export const getsUntilClosed: Role = function* (queue) {
  for (let item = yield* queue.get(); item !== undefined; item = yield* queue.get()) yield* note('got', item);
};

export const batchPuts = (count: number): Role =>
  function* (queue, slot) {
    const items = itemsOf(slot, count);
    for (const item of items) yield* note('put', item);
    yield* queue.putAll(items);
  };

export const tryBatchPut = (count: number): Role =>
  function* (queue, slot) {
    const items = itemsOf(slot, count);
    const said = yield* queue.putMany(items);
    for (const item of items.slice(0, Math.max(said, 0))) yield* note('put', item);
  };

export const batchGets = (count: number): Role =>
  function* (queue) {
    for (let got = 0; got < count; ) {
      const items = yield* queue.getMany(count - got);
      for (const item of items) yield* note('got', item);
      got += items.length;
    }
  };

export const tryBatchGet = (most: number): Role =>
  function* (queue) {
    const said = yield* queue.tryGetMany(most);
    if (Array.isArray(said)) for (const item of said) yield* note('got', item);
  };

const times = (count: number, role: Role): Role =>
  function* (queue, slot) {
    for (let i = 0; i < count; i++) yield* role(queue, slot);
  };

export const tryBatchPuts = (count: number, each: number): Role =>
  function* (queue, slot) {
    for (let i = 0; i < count; i++) {
      const items = itemsOf(slot, (i + 1) * each).slice(i * each);
      const said = yield* queue.putMany(items);
      for (const item of items.slice(0, Math.max(said, 0))) yield* note('put', item);
    }
  };

export const tryBatchGets = (count: number, most: number): Role => times(count, tryBatchGet(most));

/** Of a queue that is never empty. */
export const takesOne: Role = function* (queue) {
  const said = yield* queue.tryGet();
  if (typeof said !== 'object') throw new Failure('a queue with items was said to be empty');
  yield* note('got', said.item);
};

/** Takes one and puts one in its place, time and again. */
export const takesAndPuts = (count: number): Role =>
  function* (queue, slot) {
    for (const item of itemsOf(slot, count)) {
      const said = yield* queue.tryGet();
      if (typeof said === 'object') yield* note('got', said.item);
      if ((yield* queue.tryPut(item)) === true) yield* note('put', item);
    }
  };

/** Promises for so many items, all pending at once; then, if asked, a blocking get of one more. */
export const getsAsync = (count: number, alsoBlocks = false, timed = false): Role =>
  function* (queue) {
    const taking = queue.taking();
    const noted: typeof taking = {
      ...taking,
      *attempt() {
        const got = yield* taking.attempt();
        if (typeof got === 'object') yield* note('got', got.item); // now: what comes of it later may run behind others
        return got;
      },
    };
    for (let i = 0; i < count; i++) yield* queue.loop.wait(noted, undefined, timed);
    if (alsoBlocks) yield* queue.loop.block(noted);
    yield* queue.loop.run();
  };

/** The same of puts. */
export const putsAsync = (count: number): Role =>
  function* (queue, slot) {
    for (const item of itemsOf(slot, count)) {
      yield* queue.loop.wait(yield* queue.sending(item), function* (sent): Part<void> {
        if (sent) yield* note('put', item);
      });
    }
    yield* queue.loop.run();
  };

export const closes: Role = function* (queue) {
  yield* queue.close();
};

export const putsAndCloses = (count: number): Role =>
  function* (queue, slot) {
    yield* puts(count)(queue, slot);
    yield* queue.close();
  };

export const works = (count: number): Role =>
  function* (queue, slot) {
    for (let i = 0; i < count; i++) {
      yield* gets(1)(queue, slot);
      yield* queue.taskDone();
    }
  };

export const worksUntilClosed: Role = function* (queue) {
  for (let item = yield* queue.get(); item !== undefined; item = yield* queue.get()) {
    yield* note('got', item);
    yield* queue.taskDone();
  }
};

/** A promise to work is pending while its thread blocks until all work is done. */
export const worksAsyncAndJoins: Role = function* (queue) {
  const taking = queue.taking();
  const working: typeof taking = {
    ...taking,
    *attempt() {
      const got = yield* taking.attempt();
      if (typeof got !== 'object') return got;
      yield* note('got', got.item);
      yield* queue.taskDone();
      return got;
    },
  };
  yield* queue.loop.wait(working);
  yield* queue.loop.block(queue.joining());
  yield* queue.loop.run();
};

export const putsJoinsAndCloses: Role = function* (queue, slot) {
  yield* puts(1)(queue, slot);
  yield* queue.join();
  yield* queue.close();
};

export const joins: Role = function* (queue) {
  yield* queue.join();
};
