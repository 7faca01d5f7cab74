/**
 * Payloads: what a slot of the ring carries. A number travels in the slot; anything else as the address of a block, and what
 * the block cannot hold as a chain of pieces behind it.
 *
 * A payload is prepared before a position is claimed and read after it was taken, so nobody encodes or decodes in the ring.
 */
import { FREED } from '../kernel/layout.ts';
import { ClosedError, InvalidHandleError } from '../memory/errors.ts';
import type { SharedObject } from '../memory/handles.ts';
import type { AGAIN } from '../memory/wait.ts';
import type { View } from './struct.ts';

/** A prepared payload: the number itself, or the address of the block. */
export type Letter = number;

/** Items of `codec.bytes`, somewhere in memory of this thread. */
export interface Packed {
  readonly count: number;
  readonly bytes: Uint8Array;
  /** The same memory, if it can be seen so. */
  readonly words: Int32Array | undefined;
  /** Where in it each item starts and ends. */
  readonly places: Uint32Array;
}

/** How items become payloads and back. */
export interface Payloads<T> {
  /** Prepares an item; AGAIN when no memory is free just now. Throws CodecError, MessageTooLargeError. */
  write(value: T): Letter | typeof AGAIN;
  /** After an AGAIN: bytes of the region that the item lacked, 0 if it was a block. */
  readonly lacking: number;
  /** Whether the region has so many bytes; if not, the queue's producers are woken when some are freed. */
  hasRoom(bytes: number): boolean;
  /** Puts a prepared payload: what the kernel says. */
  send(letter: Letter, value: T): number;
  /** Gives up a prepared payload. */
  drop(letter: Letter): void;
  /** Prepares items of `values` from index `from` on, their payloads in the batch: how many, at most `room`. */
  writeMany(values: ArrayLike<T>, from: number, room: number): number;
  /** As `writeMany`, of bytes; for queues of `codec.bytes` alone. */
  writePacked?(packed: Packed, from: number, room: number): number;
  /** Gives up the payloads of the batch behind the first `sent`. */
  dropMany(sent: number, written: number): void;
  /** Takes an item from the ring: what the kernel says. */
  take(): number;
  /** The item that was taken; frees its block, and wakes a producer that waits. */
  read(): T;
  /** Gives up everything that is in the ring. */
  clear(): void;
  /** Takes up to `most` items, and appends them: how many, or what the kernel says. */
  readMany(items: T[], most: number): number;
}

/** The arrays that hold what a codec of numbers carries, and nothing else; here of items of type `T`. */
export type NumberArray<T> = T extends bigint
  ? BigInt64Array
  : T extends number
    ? Int32Array | Uint32Array | Float64Array
    : never;

/** Payloads of a fixed size, which are put and taken in one step when nobody has to wait. */
export interface Prompt<T> {
  /** Puts an item, and wakes a consumer that waits; false when it is to be put the long way, which finds out why. */
  putNow(value: T): boolean;
  /** Takes an item, which `read` then returns, and wakes a producer that waits; false as above. */
  takeNow(): boolean;
  read(): T;
  /** As `readMany` of Payloads, into an array of the codec's own kind, from place `at` on. */
  readInto(target: NumberArray<T>, at: number): number;
}

/** Payloads that can be read where they lie: while `lending`, `read` gives a loan in place of the item. */
export interface Lends {
  lending(on: boolean): void;
}

/** Payloads that are shown to a function, without an object for each; what `read` gives while lending is for one `show`. */
export interface Shows<T> extends Lends {
  show<R>(lent: T, use: (view: View<T>) => R): R;
}

/** Why the kernel refused: the queue was freed, or it is closed. */
export function refusal({ offset, title }: SharedObject, said: number): Error {
  return said === FREED ? new InvalidHandleError(`the queue at offset ${offset} was freed`) : new ClosedError(title);
}
