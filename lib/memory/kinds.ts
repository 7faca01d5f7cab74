/**
 * Kinds: what can be said about an object of the region by looking at it, without its class. A new kind is one entry.
 */
import {
  BARRIER_PARTIES,
  BARRIER_WAITERS,
  BLOCK_STATE,
  BROADCAST_PUBLISHERS,
  BROKEN,
  CONDITION_WAITERS,
  DEAD,
  EVENT_WAITERS,
  KIND_ARRAY,
  KIND_BARRIER,
  KIND_BROADCAST,
  KIND_CONDITION,
  KIND_EVENT,
  KIND_LATCH,
  KIND_MUTEX,
  KIND_PIPE,
  KIND_QUEUE,
  KIND_RLOCK,
  KIND_RWLOCK,
  KIND_SEMAPHORE,
  KIND_SUBSCRIPTION,
  KIND_VALUE,
  LATCH_WAITERS,
  MUTEX_WAITERS,
  NAME_BYTES,
  OBJECT_KIND,
  OBJECT_NAME,
  OBJECT_SERIAL,
  OWNER_DIED,
  QUEUE_BLOCKS,
  QUEUE_GETTERS,
  QUEUE_HEAD,
  QUEUE_JOINERS,
  QUEUE_LIMIT,
  QUEUE_PUTTERS,
  QUEUE_REDELIVERS,
  QUEUE_RESERVERS,
  RW_DRAINING,
  RW_READERS,
  RW_SLOTS,
  SEMAPHORE_WAITERS,
  SUBSCRIPTION_WAITERS,
  TAKEN,
  WAKE,
} from '../kernel/layout.ts';
import type { Kernel } from './kernel.ts';

/** What a kind shows of itself beside its name and who waits: plain data. */
export type Details = Readonly<Record<string, number | boolean | readonly number[]>>;

/** What there may be to repair after a death. The place in this list is the place of its counters in the region. */
export const REPAIRS = [
  'locks',
  'reads',
  'permits',
  'barriers',
  'notifications',
  'claims',
  'blocks',
  'returned',
  'pieces',
  'ends',
] as const;

/**
 * How many of what was repaired after a death; what there was none of is not there. Locks and reads that were held, permits
 * that went back, barriers that broke, notifications that others got, claims in queues, blocks that were being written or
 * read, items that came back to a queue that redelivers, pieces of memory, and ends of pipes that were closed.
 */
export type Repairs = Readonly<Partial<Record<(typeof REPAIRS)[number], number>>>;

/** The counters of repairs at `at`. */
export function repairsAt(kernel: Kernel, at: number): Repairs {
  const counts = REPAIRS.map((what, place) => [what, kernel.peek(at + 4 * place)] as const);
  return Object.fromEntries(counts.filter(([, n]) => n !== 0));
}

/** How to look at the objects of a kind. The functions only read, and what they read may be torn: never trust it twice. */
export interface Kind {
  readonly word: string;
  /** Its wait sets, as offsets in the object. */
  readonly sets: readonly number[];
  /** What those want who wait, in the order of the kind's wait sets. */
  readonly wants: readonly string[];
  /**
   * The slots of the threads that must all let go before one who waits in `set`, an offset in the object, can go on. Kinds
   * without have no owner, and no deadlock goes through them.
   */
  readonly owners?: (kernel: Kernel, offset: number, set: number) => readonly number[];
  /** The wait set in which an owner waits for the other ones, as an offset; in all others only those wait who own nothing here. */
  readonly ownerSet?: number;
  readonly details?: (kernel: Kernel, offset: number) => Details;
  /** When the object is freed: no handle's compare-exchange can succeed any more. */
  readonly kill?: (kernel: Kernel, offset: number) => void;
  /** Repairs what the thread in `slot` left here, which is gone and had `waited` in those sets; may be done twice. */
  readonly bury?: (kernel: Kernel, offset: number, slot: number, waited: readonly boolean[]) => Repairs;
}

const kill = (kernel: Kernel, offset: number): void => kernel.lockKill(offset);
const oneLock = { owners: oneOwner, details: lockDetails, kill, bury: buryLock };

export const KINDS: Readonly<Record<number, Kind>> = {
  [KIND_ARRAY]: { word: 'array', sets: [], wants: [] },
  [KIND_MUTEX]: { word: 'mutex', sets: [MUTEX_WAITERS], wants: ['lock'], ...oneLock },
  [KIND_RLOCK]: { word: 'rlock', sets: [MUTEX_WAITERS], wants: ['lock'], ...oneLock },
  [KIND_RWLOCK]: {
    word: 'rwlock',
    sets: [MUTEX_WAITERS, RW_READERS, RW_DRAINING],
    wants: ['write', 'read', 'drain'],
    owners: rwOwners,
    ownerSet: RW_DRAINING,
    details: rwDetails,
    kill,
    bury: buryReadsAndWrite,
  },
  [KIND_SEMAPHORE]: {
    word: 'semaphore',
    sets: [SEMAPHORE_WAITERS],
    wants: ['acquire'],
    details: semaphoreDetails,
    bury: buryPermits,
  },
  [KIND_CONDITION]: { word: 'condition', sets: [CONDITION_WAITERS], wants: ['wait'], bury: notifyInPlace },
  [KIND_EVENT]: { word: 'event', sets: [EVENT_WAITERS], wants: ['wait'], details: eventDetails },
  [KIND_BARRIER]: {
    word: 'barrier',
    sets: [BARRIER_WAITERS],
    wants: ['wait'],
    details: barrierDetails,
    bury: breakBarrier,
  },
  [KIND_LATCH]: { word: 'latch', sets: [LATCH_WAITERS], wants: ['wait'], details: latchDetails },
  [KIND_VALUE]: { word: 'value', sets: [], wants: [] },
  [KIND_QUEUE]: {
    word: 'queue',
    sets: [QUEUE_GETTERS, QUEUE_PUTTERS, QUEUE_JOINERS, QUEUE_RESERVERS],
    wants: ['get', 'put', 'join', 'reserve'],
    details: queueDetails,
  },
  [KIND_PIPE]: { word: 'connection', sets: [], wants: [], bury: leaveEnd },
  [KIND_BROADCAST]: { word: 'broadcast', sets: [BROADCAST_PUBLISHERS], wants: ['publish'] },
  [KIND_SUBSCRIPTION]: {
    word: 'subscription',
    sets: [SUBSCRIPTION_WAITERS],
    wants: ['get'],
    details: subscriptionDetails,
    bury: leaveSubscription,
  },
};

/** For every lock whose word is that of a mutex. Whom it was handed to, and who is dead, holds nobody up. */
function oneOwner(kernel: Kernel, offset: number): number[] {
  const owner = kernel.lockHolder(offset) - 1;
  return owner < 0 ? [] : [owner];
}

function lockDetails(kernel: Kernel, offset: number): Details {
  const owner = kernel.lockOwner(offset);
  if (owner === DEAD) return { locked: true, owner: -1, ownerDied: true };
  return { locked: owner !== 0, owner: owner - 1 };
}

function subscriptionDetails(kernel: Kernel, offset: number): Details {
  return { missed: kernel.subscriptionMissed(offset) };
}

/** Who arrives waits for the writer, be it inside or before it; the writer that has the gate waits for the readers. */
function rwOwners(kernel: Kernel, offset: number, set: number): number[] {
  return set === RW_DRAINING ? readersOf(kernel, offset) : oneOwner(kernel, offset);
}

function readersOf(kernel: Kernel, offset: number): number[] {
  const slots = Array.from({ length: kernel.peek(offset + RW_SLOTS) }, (_, slot) => slot);
  return slots.filter((slot) => kernel.readHeld(offset, slot) > 0);
}

function rwDetails(kernel: Kernel, offset: number): Details {
  return { ...lockDetails(kernel, offset), readers: readersOf(kernel, offset) };
}

function queueDetails(kernel: Kernel, offset: number): Details {
  const got = kernel.peek(offset + QUEUE_HEAD) >>> 1;
  const size = kernel.ringSize(offset);
  const details = {
    size,
    capacity: kernel.peek(offset + QUEUE_LIMIT) / 2,
    put: got + size,
    got,
    closed: kernel.ringClosed(offset) !== 0,
  };
  return kernel.peek(offset + QUEUE_REDELIVERS) === 1 ? { ...details, ...deliveryDetails(kernel, offset) } : details;
}

function deliveryDetails(kernel: Kernel, offset: number): Details {
  const blocks = Array.from({ length: kernel.peek(offset + QUEUE_BLOCKS) }, (_, index) => index);
  const states = blocks.map((index) => kernel.peek(kernel.blockAt(offset, index) + BLOCK_STATE));
  const taken = states.filter((state) => (state & 1) === 0 && (state & (TAKEN << 1)) !== 0);
  const returned = taken.filter((state) => state === TAKEN << 1).length;
  return { unacknowledged: taken.length - returned, returned };
}

function semaphoreDetails(kernel: Kernel, offset: number): Details {
  return { available: kernel.semaphoreAvailable(offset) };
}

function eventDetails(kernel: Kernel, offset: number): Details {
  return { set: (kernel.eventChanges(offset) & 1) === 1 };
}

function barrierDetails(kernel: Kernel, offset: number): Details {
  const arrived = kernel.barrierArrived(offset);
  const broken = (arrived & BROKEN) !== 0;
  return { parties: kernel.peek(offset + BARRIER_PARTIES), waiting: broken ? 0 : arrived, broken };
}

function latchDetails(kernel: Kernel, offset: number): Details {
  return { count: kernel.latchCount(offset) };
}

function buryLock(kernel: Kernel, offset: number, slot: number): Repairs {
  return { locks: Number(kernel.lockBury(offset, slot + 1) === OWNER_DIED) };
}

function buryReadsAndWrite(kernel: Kernel, offset: number, slot: number): Repairs {
  const reads = kernel.readHeld(offset, slot);
  return { reads, locks: Number(kernel.rwBury(offset, slot) === OWNER_DIED) };
}

/** Permits go back, and so does the turn. */
function buryPermits(kernel: Kernel, offset: number, slot: number): Repairs {
  const permits = kernel.semaphoreBury(offset, slot);
  kernel.semaphoreSettle(offset, kernel.peek(offset + OBJECT_SERIAL), slot + 1, slot);
  return { permits };
}

/** The notifications that it had and did not use go to others. */
function notifyInPlace(kernel: Kernel, offset: number, slot: number): Repairs {
  const notifications = kernel.conditionForget(offset, slot);
  for (let left = notifications; left > 0; left--) kernel.conditionNotify(offset);
  return { notifications };
}

/** A barrier that it waited at. If its round had ended, its bit was taken. */
function breakBarrier(kernel: Kernel, offset: number, _slot: number, [waited]: readonly boolean[]): Repairs {
  return { barriers: Number(waited && kernel.barrierBreak(offset, kernel.barrierRound(offset)) === WAKE) };
}

function leaveEnd(kernel: Kernel, offset: number, slot: number): Repairs {
  return { ends: Number(kernel.pipeOwner(offset) === slot + 1 && kernel.pipeLeave(offset, slot + 1) !== 0) };
}

function leaveSubscription(kernel: Kernel, offset: number, slot: number): Repairs {
  kernel.subscriptionBury(offset, slot + 1);
  return {};
}

/** The kind's word and the object's name or else its offset, as in the messages of errors. */
export function titleOf(kernel: Kernel, buffer: Buffer, offset: number): string {
  const kind = kernel.peek(offset + OBJECT_KIND);
  const name = readName(buffer, offset + OBJECT_NAME);
  return `${KINDS[kind]?.word ?? `object of kind ${kind}`}${name ? ` "${name}"` : ` at ${offset}`}`;
}

/** A name of an object or a thread: one length byte, then UTF-8. */
export function readName(buffer: Buffer, at: number): string {
  return buffer.toString('utf8', at + 1, at + 1 + Math.min(buffer[at] ?? 0, NAME_BYTES));
}

/** Writes a name, or what fits of it. */
export function writeName(buffer: Buffer, at: number, name: string): void {
  buffer[at] = buffer.write(name, at + 1, NAME_BYTES);
}
