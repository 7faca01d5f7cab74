/**
 * Numbers: items that travel inside the slots of a ring, of 32 bits in the slot's word (`Words`) or of 64 bits behind it
 * (`Wides`).
 */
import { BATCH, THREAD_BATCH, THREAD_MAIL } from '../kernel/layout.ts';
import type { Kernel } from '../memory/kernel.ts';
import type { Place } from '../memory/region.ts';
import { type Codec, refuse } from './codec.ts';
import type { Letter, Payloads } from './payload.ts';

abstract class Numbers<T> {
  protected readonly kernel: Kernel;
  protected readonly record: number;
  protected readonly place: Place;
  protected readonly codec: Codec<T>;
  protected readonly accepts: (value: T) => boolean;
  readonly lacking = 0;

  constructor(place: Place, codec: Codec<T>) {
    this.kernel = place.region.kernel;
    this.record = place.region.record;
    this.place = place;
    this.codec = codec;
    this.accepts = codec.accepts ?? (() => false);
  }

  /** Writes a number into the mail or the batch. */
  protected abstract store(at: number, value: T): void;
  /** Reads it from there. */
  protected abstract load(at: number): T;

  hasRoom(): boolean {
    return true;
  }

  drop(): void {}

  writeMany(values: ArrayLike<T>, from: number): number {
    const count = Math.min(BATCH, values.length - from);
    let at = this.record + THREAD_BATCH;
    for (let i = from; i < from + count; i++, at += 8) {
      const value = values[i] as T;
      if (!this.accepts(value)) {
        if (i > from) return i - from; // what is before it goes first, then it is refused by itself
        refuse(this.codec, value);
      }
      this.store(at, value);
    }
    return count;
  }

  dropMany(): void {}

  clear(): void {}

  take(): number {
    return this.kernel.ringGet(this.place.offset, this.place.serial, this.record);
  }

  read(): T {
    return this.load(this.record + THREAD_MAIL);
  }

  readMany(items: T[], most: number): number {
    const { offset, serial } = this.place;
    const count = this.kernel.ringGetMany(offset, serial, this.record, Math.min(most, BATCH));
    for (let i = 0, at = this.record + THREAD_BATCH; i < count; i++, at += 8) items.push(this.load(at));
    return count;
  }
}

/** `i32` and `u32`. */
export class Words extends Numbers<number> implements Payloads<number> {
  readonly #put: Kernel['ringPut'];
  readonly #i32: Int32Array;
  readonly #unsigned: boolean;
  readonly #offset: number;
  readonly #serial: number;

  constructor(place: Place, codec: Codec<number>) {
    super(place, codec);
    this.#put = place.region.kernel.ringPut;
    this.#i32 = place.region.i32;
    this.#unsigned = codec.inline === 'u32';
    this.#offset = place.offset;
    this.#serial = place.serial;
  }

  write(value: number): Letter {
    if (!this.accepts(value)) refuse(this.codec, value);
    return value;
  }

  send(letter: Letter): number {
    return this.#put(this.#offset, this.#serial, letter);
  }

  protected store(at: number, value: number): void {
    this.#i32[at >> 2] = value;
  }

  protected load(at: number): number {
    const value = this.#i32[at >> 2] as number;
    return this.#unsigned ? value >>> 0 : value;
  }
}

/** `f64` and `i64`. */
export class Wides<T extends number | bigint> extends Numbers<T> implements Payloads<T> {
  readonly #words: Float64Array | BigInt64Array;
  readonly #owner: number;

  constructor(place: Place, codec: Codec<T>) {
    super(place, codec);
    const { f64, i64, slot } = place.region;
    this.#words = codec.inline === 'f64' ? f64 : i64;
    this.#owner = slot + 1;
  }

  write(value: T): Letter {
    if (!this.accepts(value)) refuse(this.codec, value);
    return 0;
  }

  send(_letter: Letter, value: T): number {
    this.store(this.record + THREAD_MAIL, value);
    return this.kernel.ringPutWide(this.place.offset, this.place.serial, this.record, this.#owner);
  }

  protected store(at: number, value: T): void {
    this.#words[at >> 3] = value;
  }

  protected load(at: number): T {
    return this.#words[at >> 3] as T;
  }
}
