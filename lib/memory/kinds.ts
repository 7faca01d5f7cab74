/**
 * Kinds: what can be said about an object of the region by looking at it, without its class. A new kind is one entry.
 */
import {
  BARRIER_PARTIES,
  BROKEN,
  DEAD,
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
  NAME_BYTES,
  OBJECT_KIND,
  OBJECT_NAME,
  QUEUE_HEAD,
  QUEUE_LIMIT,
  RW_DRAINING,
  RW_SLOTS,
} from '../kernel/layout.ts';
import type { Kernel } from './kernel.ts';

/** What a kind shows of itself beside its name and who waits: plain data. */
export type Details = Readonly<Record<string, number | boolean | readonly number[]>>;

/** How to look at the objects of a kind. The functions only read, and what they read may be torn: never trust it twice. */
export interface Kind {
  readonly word: string;
  /** What those want who wait, in the order of the kind's wait sets. */
  readonly wants: readonly string[];
  /**
   * The slots of the threads that must all let go before one who waits in `set`, an offset in the object, can go on. Kinds
   * without have no owner, and no deadlock goes through them.
   */
  readonly owners?: (kernel: Kernel, offset: number, set: number) => readonly number[];
  readonly details?: (kernel: Kernel, offset: number) => Details;
}

export const KINDS: Readonly<Record<number, Kind>> = {
  [KIND_ARRAY]: { word: 'array', wants: [] },
  [KIND_MUTEX]: { word: 'mutex', wants: ['lock'], owners: oneOwner, details: lockDetails },
  [KIND_SEMAPHORE]: { word: 'semaphore', wants: ['acquire'], details: semaphoreDetails },
  [KIND_EVENT]: { word: 'event', wants: ['wait'], details: eventDetails },
  [KIND_BARRIER]: { word: 'barrier', wants: ['wait'], details: barrierDetails },
  [KIND_LATCH]: { word: 'latch', wants: ['wait'], details: (kernel, offset) => ({ count: kernel.latchCount(offset) }) },
  [KIND_VALUE]: { word: 'value', wants: [] },
  [KIND_RLOCK]: { word: 'rlock', wants: ['lock'], owners: oneOwner, details: lockDetails },
  [KIND_RWLOCK]: { word: 'rwlock', wants: ['write', 'read', 'drain'], owners: rwOwners, details: rwDetails },
  [KIND_CONDITION]: { word: 'condition', wants: ['wait'] },
  [KIND_PIPE]: { word: 'connection', wants: [] },
  [KIND_BROADCAST]: { word: 'broadcast', wants: ['publish'] },
  [KIND_SUBSCRIPTION]: { word: 'subscription', wants: ['get'], details: subscriptionDetails },
  [KIND_QUEUE]: { word: 'queue', wants: ['get', 'put', 'join'], details: queueDetails },
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
  return {
    size,
    capacity: kernel.peek(offset + QUEUE_LIMIT) / 2,
    put: got + size,
    got,
    closed: kernel.ringClosed(offset) !== 0,
  };
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
