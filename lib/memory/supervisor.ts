/**
 * Supervisor: repairs what a thread left behind that ended, wherever it was. It runs in a thread that lives, when the dead
 * one is certainly gone.
 *
 * Sources: the robust futexes of Linux, for the owner that died; the burial of claims by their owner's name, iceoryx2.
 *
 * Bury  1. compare-exchange the thread's claim on its slot to mine: one buries, and nobody may have the slot yet
 *       2. the messages that it was writing, reading or about to send go back, with the pieces behind them; those that it took
 *          from a queue that redelivers come back to that
 *       3. each object: it waits there no more; what it held is released, or known as the lock of one who died (kinds.ts)
 *       4. the pieces that it was building go free
 *       5. everybody who waits looks again, since a wake may have died with it: between the change and the look at the set,
 *          between the set and the park word, between the park word and the futex
 *       6. give the slot back under a new generation
 *
 * Invariants: each step may be done twice, so a supervisor that dies in the middle is buried by the next one, which begins
 * that burial again. Nothing that was published is touched.
 *
 * The workers of a worker end with it, and their supervisor is gone: whoever buries that one buries them, by their ancestors.
 */
import {
  BLOCK_REST,
  KIND_LONG,
  KIND_QUEUE,
  LONG_BLOCK,
  NO_CLAIM,
  OBJECT_KIND,
  QUEUE_BLOCKS,
  QUEUE_REDELIVERS,
  REGION_DEATHS,
  REGION_REPAIRS,
  REGION_THREADS,
  THREAD_LAST,
  THREAD_REPAIRS,
  USED,
  VALUE_WORD,
} from '../kernel/layout.ts';
import { ancestorsIn } from './ancestors.ts';
import type { Kernel } from './kernel.ts';
import { KINDS, REPAIRS, type Repairs } from './kinds.ts';
import type { Parker } from './wait.ts';

/** What of a region is needed to bury a thread of it. */
export interface Ward {
  readonly kernel: Kernel;
  readonly i32: Int32Array;
  readonly parker: Parker;
  /** Slot of the calling thread. */
  readonly slot: number;
  /** Whether the calling thread is ending, and not in good order. */
  readonly failed?: boolean;
  recordOf(slot: number): number;
  objects(): Iterable<{ readonly offset: number; readonly kind: number }>;
  pieces(): Iterable<{ readonly unit: number; readonly state: number }>;
  release(unit: number): void;
}

/** Buries the thread whose claim on `slot` is `claim`; what there was to repair, or undefined when another thread does it. */
export function bury(ward: Ward, slot: number, claim: number): Repairs | undefined {
  const { kernel, i32, recordOf } = ward;
  if (!kernel.threadBury(recordOf(slot), claim, ward.slot)) return undefined;
  for (const left of unfinishedBy(ward, slot)) bury(ward, left, kernel.threadClaim(recordOf(left)));
  const repairs: Record<string, number> = {};
  const count = (more: Repairs = {}) => {
    for (const [what, n] of Object.entries(more)) if (n > 0) repairs[what] = (repairs[what] ?? 0) + n;
  };
  count(buryMessages(ward, slot));
  if (slot !== ward.slot || ward.failed) bereave(ward, claim);
  for (const { offset, kind } of ward.objects()) count(buryIn(ward, offset, kind, slot));
  count({ pieces: kernel.pieceBury(slot) });
  wakeEverybody(ward);
  record(ward, slot, claim, repairs);
  ancestorsIn(i32, recordOf(slot)).fill(0);
  kernel.threadLeave(recordOf(slot));
  return repairs;
}

/**
 * The claims of those that ended with the thread whose claim was `claim`, which is gone: its workers, and theirs. Of each that
 * nobody has begun to bury.
 */
export function endedWith(ward: Ward, claim: number): number[] {
  const { kernel, i32, recordOf } = ward;
  const records = slotsOf(ward).map(recordOf);
  const theirs = records.filter((record) => ancestorsIn(i32, record).includes(claim));
  return theirs.map((record) => kernel.threadClaim(record)).filter((other) => other > 0);
}

const slotsOf = ({ i32 }: Ward): number[] => Array.from({ length: i32[REGION_THREADS >> 2] ?? 0 }, (_, slot) => slot);

/** Counts a death for everybody to see. A thread that buries itself tells its supervisor, who will hear of its end, too. */
function record({ kernel, i32, recordOf, slot: mine }: Ward, slot: number, claim: number, repairs: Repairs): void {
  const add = (at: number, n: number) => kernel.valueAdd(at - VALUE_WORD, n);
  const died = slot !== mine || Object.keys(repairs).length > 0;
  if (!died) return;
  add(REGION_DEATHS, 1);
  for (const [place, what] of REPAIRS.entries()) {
    const n = repairs[what] ?? 0;
    add(REGION_REPAIRS + 4 * place, n);
    if (slot === mine) i32[(recordOf(slot) + THREAD_REPAIRS + 4 * place) >> 2] = n;
  }
  if (slot === mine) i32[(recordOf(slot) + THREAD_LAST) >> 2] = claim;
}

/** Burials that the thread in `slot` had begun. */
function unfinishedBy(ward: Ward, slot: number): number[] {
  const { kernel, recordOf } = ward;
  return slotsOf(ward).filter((other) => other !== slot && kernel.threadClaim(recordOf(other)) === -(slot + 1));
}

/** When all is repaired: the burial of one object may be what another one's waiters wait for, as the end of a pipe is. */
function wakeEverybody({ objects, parker }: Ward): void {
  for (const { offset, kind } of objects()) for (const set of KINDS[kind]?.sets ?? []) parker.wakeAll(offset + set);
  parker.rouse();
}

function buryIn({ kernel }: Ward, offset: number, kind: number, slot: number): Repairs | undefined {
  const known = KINDS[kind];
  const waited = known?.sets.map((set) => kernel.unregister(offset + set, slot) !== 0) ?? [];
  return known?.bury?.(kernel, offset, slot, waited);
}

/**
 * Tells the queues whose takers say when they are done that one of them died: it may have had items in hand. Those which
 * redeliver know it exactly.
 */
function bereave({ kernel, i32, objects }: Ward, death: number): void {
  for (const { offset, kind } of objects()) {
    if (kind !== KIND_QUEUE || i32[(offset + QUEUE_REDELIVERS) >> 2] === 1) continue;
    if (kernel.ringUnfinished(offset) <= kernel.ringSize(offset)) continue;
    kernel.ringBereave(offset, death);
  }
}

/** What of one queue was the dead thread's. */
interface Remains {
  readonly queue: number;
  readonly claim: number;
  readonly count: number;
  readonly blocks: readonly number[];
}

function buryMessages(ward: Ward, slot: number): Repairs {
  const { kernel } = ward;
  const queues = [...ward.objects()].filter(({ kind }) => kind === KIND_QUEUE);
  const all = queues.map(({ offset }) => remainsIn(ward, offset, slot));
  const blocks = new Set(all.flatMap((remains) => remains.blocks));
  const pieces = blocks.size > 0 ? releaseBehind(ward, blocks) : 0;
  for (const block of blocks) {
    ward.i32[(block + BLOCK_REST) >> 2] = 0;
    kernel.blockFree(block);
  }
  let claims = 0;
  for (const { queue, claim, count } of all) {
    if (claim === NO_CLAIM) continue;
    kernel.ringBury(queue, claim);
    kernel.ringFinish(queue, count);
    claims++;
  }
  const redelivering = queues.filter(({ offset }) => ward.i32[(offset + QUEUE_REDELIVERS) >> 2] === 1);
  const returned = redelivering.reduce((sum, { offset }) => sum + kernel.blockReturn(offset, slot + 1), 0);
  return { claims, blocks: blocks.size, returned, pieces };
}

function remainsIn({ kernel, i32, recordOf }: Ward, queue: number, slot: number): Remains {
  const claim = kernel.ringClaimOf(queue, slot + 1);
  const count = claim === NO_CLAIM ? 0 : kernel.ringClaimed(queue, claim);
  const blocks = [];
  for (let index = 0; index < (i32[(queue + QUEUE_BLOCKS) >> 2] ?? 0); index++) {
    const block = kernel.blockAt(queue, index);
    if (kernel.ringWasHeld(queue, block, recordOf(slot), slot + 1, claim, count)) blocks.push(block);
  }
  return { queue, claim, count, blocks };
}

/** Releases the pieces of long messages whose first blocks are those. */
function releaseBehind({ kernel, i32, pieces, release }: Ward, blocks: ReadonlySet<number>): number {
  let released = 0;
  for (const { unit, state } of pieces()) {
    const piece = kernel.pieceAt(unit);
    if (state !== USED || i32[(piece + OBJECT_KIND) >> 2] !== KIND_LONG) continue;
    if (!blocks.has(i32[(piece + LONG_BLOCK) >> 2] ?? 0)) continue;
    release(unit);
    released++;
  }
  return released;
}
