/**
 * Batch: calls that put one item each and go to the server in one frame, and what becomes of each of them.
 *
 * Add   1. the item is packed at once, behind the others  2. if its codec ran code that had the batch sent meanwhile, again
 * Read  1. MORE says how many of the items that come next in the batch are in the queue, and why the one behind them is not
 *       2. the answer: all others are in the queue  3. an error: none of them is
 */
import type { Codec } from '../queue/codec.ts';
import type { Request } from './link.ts';
import { COUNT, packItem, unpackError } from './parcel.ts';

const MOST_ITEMS = 128; // so that the server is at work on some while others gather

type Settle = (reason?: unknown) => void;

export class Batch<T> {
  readonly #codec: Codec<T>;
  readonly #bytes: Buffer;
  #at = COUNT;
  #calls: Settle[] = []; // of each first how it resolves, then how it rejects

  /** `most` bytes of a parcel, a multiple of 4. */
  constructor(codec: Codec<T>, most: number) {
    this.#codec = codec;
    this.#bytes = Buffer.allocUnsafeSlow(most);
  }

  get items(): number {
    return this.#calls.length / 2;
  }

  get isFull(): boolean {
    return this.items === MOST_ITEMS;
  }

  /** Adds an item; false when it does not fit. Throws CodecError. */
  add(value: T, resolve: () => void, reject: (reason: unknown) => void): boolean {
    let [at, end] = [-1, -1];
    while (at !== this.#at) {
      at = this.#at;
      end = packItem(this.#codec, value, this.#bytes, at);
    }
    if (end < 0) return false;
    this.#at = end;
    this.#calls.push(resolve, reject);
    return true;
  }

  /** Takes out what was added: the parcel, to be copied at once, and what reads the answer and then calls `end`. */
  take(end: () => void): { body: Buffer; request: Request } {
    const body = this.#bytes.subarray(0, this.#at);
    body.writeUInt32LE(this.items, 0);
    const request = new Sent(this.#calls, end);
    this.#at = COUNT;
    this.#calls = [];
    return { body, request };
  }
}

class Sent implements Request {
  readonly #calls: readonly Settle[];
  readonly #end: () => void;
  #next = 0;

  constructor(calls: readonly Settle[], end: () => void) {
    this.#calls = calls;
    this.#end = end;
  }

  readonly read = (rest: Buffer, isLast: boolean): void => {
    this.#resolve(isLast ? this.#calls.length / 2 : rest.readUInt32LE(0));
    if (isLast) this.#end();
    else if (rest.length > 4) this.#reject(unpackError(rest.subarray(4)));
  };

  readonly fail = (error: unknown): void => {
    while (this.#next < this.#calls.length) this.#reject(error);
    this.#end();
  };

  #resolve(count: number): void {
    const end = Math.min(this.#calls.length, this.#next + 2 * count);
    for (; this.#next < end; this.#next += 2) this.#calls[this.#next]?.();
  }

  #reject(error: unknown): void {
    this.#calls[this.#next + 1]?.(error);
    this.#next += 2;
  }
}
