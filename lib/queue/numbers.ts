/**
 * Numbers: items that travel in a ring without a block, of 32 bits (`Words`) or of 64 (`Wides`).
 */
import { BATCH, DONE, QUEUE_GETTERS, QUEUE_PUTTERS, THREAD_BATCH, THREAD_MAIL, WAKE } from '../kernel/layout.ts';
import { show } from '../memory/errors.ts';
import type { Kernel } from '../memory/kernel.ts';
import type { Place } from '../memory/region.ts';
import type { Parker } from '../memory/wait.ts';
import { type Codec, refuse } from './codec.ts';
import type { Letter, NumberArray, Payloads, Prompt } from './payload.ts';

const ARRAYS: Record<string, { new (length: number): AnyArray; readonly name: string }> = {
  i32: Int32Array,
  u32: Uint32Array,
  f64: Float64Array,
  i64: BigInt64Array,
};

type AnyArray = Int32Array | Uint32Array | Float64Array | BigInt64Array;

/** Throws TypeError for what is no array of the codec's own kind, and RangeError for one without a place. */
export function requireNumberArray<T>(title: string, { inline, name }: Codec<T>, target: unknown): void {
  const kind = inline && ARRAYS[inline];
  if (!kind) throw new TypeError(`getManyInto needs a queue of numbers: ${title} is of codec.${name}`);
  if (!(target instanceof kind)) throw new TypeError(`target must be of class ${kind.name}: got ${show(target)}`);
  if (target.length === 0) throw new RangeError(`target must have a place for an item: got one of length 0`);
}

/** A part of an array: the array itself, where that is all of it, since a view costs as much as copying some hundred bytes. */
function part(array: AnyArray, from: number, count: number): AnyArray {
  return from === 0 && count === array.length ? array : array.subarray(from, from + count);
}

/** Copies numbers between arrays of one kind. */
function copy(from: AnyArray, into: AnyArray, at: number): void {
  (into as Int32Array).set(from as Int32Array, at);
}

export abstract class Numbers<T> implements Prompt<T> {
  protected readonly offset: number;
  protected readonly serial: number;
  protected readonly record: number;
  readonly #codec: Codec<T>;
  readonly #bytes: number; // of a number of a batch
  readonly #accepts: (value: T) => boolean;
  readonly #parker: Parker;
  readonly #get: Kernel['ringGet'];
  readonly #getMany: Kernel['ringGetMany'];
  readonly #mail: number;
  readonly #batch: number;
  readonly #done = DONE; // an import costs a load more for each comparison
  readonly lacking = 0;

  constructor({ region, offset, serial }: Place, codec: Codec<T>, bytes: number) {
    this.offset = offset;
    this.serial = serial;
    this.record = region.record;
    this.#codec = codec;
    this.#bytes = bytes;
    this.#accepts = codec.accepts ?? (() => false);
    this.#parker = region.parker;
    this.#get = region.kernel.ringGet;
    this.#getMany = region.kernel.ringGetMany;
    this.#mail = region.record + THREAD_MAIL;
    this.#batch = region.record + THREAD_BATCH;
  }

  /** Writes a number into the mail or the batch. */
  protected abstract store(at: number, value: T): void;
  /** Reads it from there. */
  protected abstract load(at: number): T;
  /** The batch, as an array of the codec's own kind. */
  protected abstract readonly batch: AnyArray;
  /** Appends numbers of the batch: to a length that is set first, since an array that grows by each one costs four times as much. */
  protected abstract loadAll(at: number, items: T[], count: number): void;

  abstract write(value: T): Letter;
  abstract send(letter: Letter, value: T): number;

  protected check(value: T): void {
    if (!this.#accepts(value)) refuse(this.#codec, value);
  }

  putNow(value: T): boolean {
    const said = this.send(this.write(value), value);
    return said === this.#done || this.#woke(said, QUEUE_GETTERS);
  }

  takeNow(): boolean {
    const said = this.#get(this.offset, this.serial, this.record);
    return said === this.#done || this.#woke(said, QUEUE_PUTTERS);
  }

  #woke(said: number, set: number): boolean {
    if (said !== WAKE) return false;
    this.#parker.wake(this.offset + set);
    return true;
  }

  hasRoom(): boolean {
    return true;
  }

  drop(): void {}

  writeMany(values: ArrayLike<T>, from: number): number {
    const count = Math.min(BATCH, values.length - from);
    if (values instanceof this.batch.constructor) {
      copy(part(values as unknown as AnyArray, from, count), this.batch, 0); // none needs a look
      return count;
    }
    let at = this.#batch;
    for (let i = from; i < from + count; i++, at += this.#bytes) {
      const value = values[i] as T;
      if (!this.#accepts(value)) {
        if (i > from) return i - from; // what is before it goes first, then it is refused by itself
        refuse(this.#codec, value);
      }
      this.store(at, value);
    }
    return count;
  }

  dropMany(): void {}

  clear(): void {}

  take(): number {
    return this.#get(this.offset, this.serial, this.record);
  }

  read(): T {
    return this.load(this.#mail);
  }

  readMany(items: T[], most: number): number {
    const count = this.#getMany(this.offset, this.serial, this.record, Math.min(most, BATCH));
    if (count > 0) this.loadAll(this.#batch, items, count);
    return count;
  }

  /** As `readMany`, into an array of the codec's own kind, from place `at` on. */
  readInto(target: NumberArray<T>, at: number): number {
    const most = Math.min(target.length - at, BATCH);
    const count = this.#getMany(this.offset, this.serial, this.record, most);
    if (count > 0) copy(part(this.batch, 0, count), target, at);
    return count;
  }
}

/** `i32` and `u32`. */
export class Words extends Numbers<number> implements Payloads<number> {
  readonly #put: Kernel['ringPut'];
  readonly #i32: Int32Array;
  readonly #unsigned: boolean;
  protected readonly batch: Int32Array | Uint32Array;

  constructor(place: Place, codec: Codec<number>) {
    super(place, codec, 4);
    this.#put = place.region.kernel.ringPut;
    this.#i32 = place.region.i32;
    this.#unsigned = codec.inline === 'u32';
    const { buffer } = this.#i32;
    const at = this.record + THREAD_BATCH;
    this.batch = this.#unsigned ? new Uint32Array(buffer, at, BATCH) : new Int32Array(buffer, at, BATCH);
  }

  write(value: number): Letter {
    this.check(value);
    return value;
  }

  send(letter: Letter): number {
    return this.#put(this.offset, this.serial, letter);
  }

  protected store(at: number, value: number): void {
    this.#i32[at >> 2] = value;
  }

  protected load(at: number): number {
    const value = this.#i32[at >> 2] as number;
    return this.#unsigned ? value >>> 0 : value;
  }

  protected loadAll(at: number, items: number[], count: number): void {
    const i32 = this.#i32;
    const unsigned = this.#unsigned;
    const from = items.length;
    items.length += count;
    for (let i = from, word = at >> 2; i < from + count; i++, word++) {
      const value = i32[word] as number;
      items[i] = unsigned ? value >>> 0 : value;
    }
  }
}

/** `f64` and `i64`. */
export class Wides<T extends number | bigint> extends Numbers<T> implements Payloads<T> {
  readonly #put: Kernel['ringPutWide'];
  readonly #words: Float64Array | BigInt64Array;
  protected readonly batch: Float64Array | BigInt64Array;
  readonly #mail: number;
  readonly #owner: number;

  constructor(place: Place, codec: Codec<T>) {
    super(place, codec, 8);
    const { f64, i64, kernel, record, slot } = place.region;
    this.#put = kernel.ringPutWide;
    this.#words = codec.inline === 'f64' ? f64 : i64;
    const first = (record + THREAD_BATCH) >> 3;
    this.batch = this.#words.subarray(first, first + BATCH);
    this.#mail = record + THREAD_MAIL;
    this.#owner = slot + 1;
  }

  write(value: T): Letter {
    this.check(value);
    return 0;
  }

  send(_letter: Letter, value: T): number {
    this.store(this.#mail, value);
    return this.#put(this.offset, this.serial, this.record, this.#owner);
  }

  protected store(at: number, value: T): void {
    this.#words[at >> 3] = value;
  }

  protected load(at: number): T {
    return this.#words[at >> 3] as T;
  }

  protected loadAll(at: number, items: T[], count: number): void {
    const words = this.#words;
    const from = items.length;
    items.length += count;
    for (let i = from, word = at >> 3; i < from + count; i++, word++) items[i] = words[word] as T;
  }
}
