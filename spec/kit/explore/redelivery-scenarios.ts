/**
 * What is explored of a queue that redelivers: what was acknowledged does not come back, and nothing else is lost.
 *
 * Consumers and the supervisor are those that ship. The items 1, 2, … are in the queue from the start.
 */
import './one-core.ts';
import {
  BLOCK_DATA,
  BLOCK_LENGTH,
  BLOCK_ORDER,
  KIND_QUEUE,
  QUEUE_CODEC,
  QUEUE_REDELIVERS,
  QUEUE_RETURNS,
  QUEUE_RETURNS_SEEN,
  TAKEN,
  THREAD_MAIL,
  THREAD_SENDING,
} from '../../../lib/kernel/layout.ts';
import { ClosedError } from '../../../lib/memory/errors.ts';
import { codec } from '../../../lib/queue/codec.ts';
import { knownAs } from '../../../lib/queue/known.ts';
import type { Queue } from '../../../lib/queue/queue.ts';
import type { Held } from '../../../lib/queue/redelivery.ts';
import { type Deaths, partsOf } from './deaths.ts';
import { THREADS } from './ground.ts';
import { type Cast, Failure, type Machine, type Scenario } from './machine.ts';
import type { Protocol } from './programs.ts';
import { Ring, SERIAL } from './rings.ts';
import { Scene, type Stage } from './stage.ts';
import { ASLEEP, type VirtualThread } from './thread.ts';

/**
 * What a thread does: gets an item and acknowledges it, gets two before it does, or never does; holds one or two, if they are
 * there, as a server of the queue does for a client, or waits for one by a promise, and gives back what it holds.
 */
export type DeliveryAct =
  | 'work'
  | 'work on two'
  | 'take'
  | 'hold and give back'
  | 'hold two and give back'
  | 'async: hold and give back'
  | 'join'
  | 'close';

interface RedeliveryScenario {
  /** What each thread does, one after another. */
  readonly acts: readonly (readonly DeliveryAct[])[];
  readonly items: number;
  /** So many of them were taken, and came back. */
  readonly returned?: number;
  readonly position?: number;
  readonly kills?: number;
  /** Who may die, and who repairs, if there are two deaths. */
  readonly deaths?: Deaths;
  readonly protocol?: Protocol;
}

export function redeliveryScenario(name: string, options: RedeliveryScenario): Scenario {
  return { name, kills: options.deaths ? 2 : (options.kills ?? 0), setup: (machine) => castOf(machine, options) };
}

function castOf(machine: Machine, options: RedeliveryScenario): Cast {
  const { acts, items, returned = 0, position = 0, protocol, deaths } = options;
  const { ground } = machine;
  const parts = partsOf(ground, acts.length, deaths);
  const reads = (stage: Stage) => {
    const block = stage.keep(ground.record(stage.slot) + THREAD_MAIL);
    stage.touch(block + BLOCK_DATA);
  };
  const scene = new Scene(machine, {
    threads: parts.slots,
    supervisors: parts.supervisors,
    taking: { ringGetBlock: reads, blockTake: reads },
    protocol,
  });
  const ring = new Ring(machine, { capacity: items, blocks: items + 1, position });
  scene.knows(ring.at, KIND_QUEUE);
  ground.set(ring.at + QUEUE_REDELIVERS, 1);
  ground.set(ring.at + QUEUE_CODEC, knownAs(codec.i32).number);
  ground.set(ring.at + QUEUE_RETURNS, -1); // some came back before, and nobody has looked since
  ground.set(ring.at + QUEUE_RETURNS_SEEN, -2);
  ground.name({ name: 'returns', at: ring.at + QUEUE_RETURNS, bytes: 8 });
  for (let slot = 0; slot < parts.slots; slot++) ground.shared(ground.record(slot) + THREAD_SENDING, 8); // a burial looks
  for (let item = 1; item <= items; item++) send(machine, ring, item);
  for (let item = 1; item <= returned; item++) takeAndReturn(machine, ring, item);
  if (returned > 1) swap(machine, ring);
  for (const { block } of ring.blocks) {
    ground.set(block + BLOCK_LENGTH, 4);
    ground.constant(block + BLOCK_LENGTH, 4);
    ground.name({ name: 'order of a block', at: block + BLOCK_ORDER, bytes: 4 });
  }
  return {
    programs: acts.map(
      (mine, slot) => () => scene.play(slot, ...mine.map((act) => (stage: Stage) => does(stage, ring, act))),
    ),
    ...parts.cast,
    repair: scene.burial,
    maySleep: (thread) => isVainFor(machine, ring, thread),
    final: () => checkEnd(machine, ring, items),
  };
}

function send({ ground, solo, threads }: Machine, ring: Ring, item: number): void {
  const block = solo('blockAt', ring.at, solo('blockClaim', ring.at, SERIAL, THREADS, 0));
  ground.set(block + BLOCK_DATA, item);
  solo('ringPutBlock', ring.at, SERIAL, threads.at(-1)?.record ?? 0, block);
}

function takeAndReturn({ solo, threads }: Machine, ring: Ring, item: number): void {
  const owner = THREADS + item; // one after another, each of whom died with one item
  solo('ringGetBlock', ring.at, SERIAL, threads.at(-1)?.record ?? 0, owner | TAKEN);
  solo('blockReturn', ring.at, owner);
}

/** The first two blocks change places, so that what was taken first does not lie first. */
function swap({ ground }: Machine, { blocks }: Ring): void {
  const [one = 0, other = 0] = blocks.map(({ block }) => block);
  for (const at of [BLOCK_DATA, BLOCK_ORDER]) {
    const before = ground.get(one + at);
    ground.set(one + at, ground.get(other + at));
    ground.set(other + at, before);
  }
}

const isOpen = (state: number): boolean => (state & 1) === 0 && (state & (TAKEN << 1)) !== 0;
const isReturned = (state: number): boolean => state === TAKEN << 1;

function does(stage: Stage, ring: Ring, act: DeliveryAct): void | Promise<void> {
  const queue = new stage.classes.Queue<number>(stage.at(ring.at, SERIAL));
  if (act === 'close') queue.close();
  else if (act === 'async: hold and give back') return holdsAsync(stage, queue);
  else if (act.startsWith('hold'))
    givesBack(stage, queue, queue.gets.holdNow(act === 'hold two and give back' ? 2 : 1) ?? []);
  else if (act === 'join') {
    queue.join();
    stage.note('joined', 0, () => {
      const open = ring.blocks.filter(({ state, isInRing }) => isOpen(state) || isInRing);
      if (open.length > 0) throw new Failure(`it was joined while ${open.length} items were open`);
    });
  } else {
    const mine: number[] = [];
    const take = (): void => {
      const item = queue.get();
      stage.note('got', item);
      mine.push(item);
    };
    const ended = stage.tries(() => {
      take();
      if (act === 'work on two') take();
    }, ClosedError);
    if (ended) stage.note('ended', 0);
    if (act === 'take') return;
    for (const item of mine) {
      queue.taskDone();
      stage.note('done', item);
    }
  }
}

async function holdsAsync(stage: Stage, queue: Queue<number>): Promise<void> {
  givesBack(stage, queue, await queue.gets.holdAsync(1));
}

function givesBack(stage: Stage, queue: Queue<number>, held: readonly Held<number>[]): void {
  for (const { value } of held) stage.note('held', value);
  queue.gets.giveBack(held);
  for (const { value } of held) stage.note('gave back', value);
}

function isVainFor({ solo }: Machine, ring: Ring, { slot }: VirtualThread): boolean {
  const waits = (set: number): boolean => solo('isRegistered', set, slot) !== 0;
  const { blocks } = ring;
  if (waits(ring.getters)) return solo('ringReadable', ring.at) === 0 && !blocks.some(({ state }) => isReturned(state));
  return waits(ring.joiners) && blocks.some(({ state, isInRing }) => isOpen(state) || isInRing);
}

function checkEnd(machine: Machine, ring: Ring, items: number): void {
  const { threads, ground, died } = machine;
  if (threads.every(({ state }) => state !== ASLEEP)) {
    if (ring.sets.some((set) => ground.get(set) !== 0)) throw new Failure('somebody is left in a wait set');
  }
  const numbers = (what: string, some: readonly VirtualThread[] = threads): number[] =>
    some.flatMap(({ said }) => said.filter((note) => note.what === what).map(({ value }) => value));
  const living = threads.filter((thread) => !died.includes(thread));
  const open = ring.blocks.filter(({ state, isInRing }) => isOpen(state) || isInRing);
  const left = open.map(({ block }) => ground.get(block + BLOCK_DATA));
  const show = `done ${numbers('done')}; got ${threads.map(({ said }) => said.map(({ what, value }) => `${what} ${value}`)).join('; ')}; left ${left}`;
  for (let item = 1; item <= items; item++) {
    const times = numbers('got', living).filter((one) => one === item).length;
    if (times > 1) throw new Failure(`the living have got ${item} ${times} times: ${show}`);
    const isDone = numbers('done').includes(item);
    if (isDone && (left.includes(item) || (numbers('done', died).includes(item) && times > 0)))
      throw new Failure(`${item} was acknowledged, and came back: ${show}`);
    const mayBeDone = numbers('got', died).includes(item); // it could not say so any more
    if (!isDone && !mayBeDone && !left.includes(item)) throw new Failure(`${item} is lost: ${show}`);
  }
  if (died.some(({ slot }) => ring.blocks.some(({ state }) => state === (TAKEN | (slot + 1)) << 1)))
    throw new Failure(`an item is the dead thread's still: ${show}`);
  for (const thread of living) {
    // of two deaths the first may be looked for while the second is repaired; what a thread holds may be older than what comes next
    const again = died.length > 0 || numbers('held').length > 0 ? [] : numbers('got', [thread]);
    if (again.some((item, i) => i > 0 && item < (again[i - 1] as number)))
      throw new Failure(`what came back came in the wrong order: ${show}`);
  }
}
