/**
 * Puts: the half of a queue that puts, for one thread.
 *
 * Put  1. prepare the payload: a number is one; anything else is encoded into a block that this thread owns, and what does not
 *         fit into pieces of the region behind it  2. the kernel claims a position and publishes  3. wake a consumer if one waits
 *
 * What a thread puts goes in the order of its calls: while promises of it wait for room, whatever it puts later is behind them.
 */
import { BUSY, DONE, FREED, QUEUE_GETTERS, QUEUE_PUTTERS, WAKE } from '../kernel/layout.ts';
import { RingfenceError } from '../memory/errors.ts';
import type { SharedObject } from '../memory/handles.ts';
import type { Kernel } from '../memory/kernel.ts';
import {
  AGAIN,
  type AsyncWaitOptions,
  type Operation,
  type Parker,
  requireAsyncWaitOptions,
  spin,
} from '../memory/wait.ts';
import { Reservation, requireLoan } from './loans.ts';
import { type Letter, type Packed, type Payloads, type Prompt, refusal } from './payload.ts';
import { Records } from './records.ts';
import type { View } from './struct.ts';

/** In place of an item whose payload is prepared already. */
const NONE: never = undefined as never;

/** Of items of type `T`. Timeouts are in milliseconds, and checked by the caller. */
export class Puts<T> {
  readonly #queue: SharedObject & { readonly capacity: number };
  readonly #kernel: Kernel;
  readonly #parker: Parker;
  readonly #payloads: Payloads<T>;
  readonly #prompt: Prompt<T> | undefined; // the same, when they are numbers
  readonly #records: Records<T> | undefined; // the same, of structs
  readonly #getters: number;
  readonly #putters: number;

  constructor(
    queue: SharedObject & { readonly capacity: number },
    payloads: Payloads<T>,
    prompt: Prompt<T> | undefined,
  ) {
    this.#queue = queue;
    this.#kernel = queue.region.kernel;
    this.#parker = queue.region.parker;
    this.#payloads = payloads;
    this.#prompt = prompt;
    this.#records = payloads instanceof Records ? payloads : undefined;
    this.#getters = queue.offset + QUEUE_GETTERS;
    this.#putters = queue.offset + QUEUE_PUTTERS;
  }

  /** The short way of a number, behind no promise of this thread; false when it must take the long one. */
  putNow(value: T): boolean {
    return this.#prompt !== undefined && !this.#parker.hasWaiters(this.#putters) && this.#prompt.putNow(value);
  }

  put(value: T, timeout: number): void {
    const letter = this.#isBehind() ? AGAIN : this.#payloads.write(value);
    if (letter !== AGAIN && (this.#send(letter, value) || this.#sendSoon(letter, value))) return;
    this.#parker.block(this.#inTurn(this.#sending(value, letter)), timeout);
  }

  tryPut(value: T): boolean {
    const letter = this.#isBehind() ? AGAIN : this.#payloads.write(value);
    if (letter === AGAIN) return false;
    const sent = this.#send(letter, value);
    if (!sent) this.#payloads.drop(letter);
    return sent;
  }

  async putAsync(value: T, options?: AsyncWaitOptions): Promise<void> {
    requireAsyncWaitOptions(options);
    const letter = this.#payloads.write(value);
    if (letter !== AGAIN && !this.#parker.hasWaiters(this.#putters) && this.#send(letter, value)) return;
    return this.#parker.wait(this.#sending(value, letter), options);
  }

  /** As `put`, for a wait that will be long: sleeps at once where there is no room. */
  putPatiently(value: T): void {
    this.#parker.block(this.#inTurn(this.#sending(value, AGAIN)), Number.POSITIVE_INFINITY);
  }

  putMany(values: ArrayLike<T>, timeout: number): void {
    const deadline = performance.now() + timeout;
    let done = 0;
    try {
      while (done < values.length) done += this.#putBatch(values, done, timeout, deadline);
    } catch (error) {
      throw Object.assign(error as Error, { done });
    }
  }

  #putBatch(values: ArrayLike<T>, from: number, timeout: number, deadline: number): number {
    const letters = this.#payloads.writeMany(values, from, this.#room);
    if (letters === 0) {
      this.#parker.block(this.#inTurn(this.#sending(values[from] as T, AGAIN)), timeout, deadline);
      return 1;
    }
    let sent = 0;
    try {
      sent = this.#putPrepared(letters, 0, timeout, deadline);
    } finally {
      this.#payloads.dropMany(sent, letters);
    }
    return sent;
  }

  /** Puts what is prepared in the batch, but for the first `from` of it, as far as there is room: how many. */
  #putPrepared(letters: number, from: number, timeout: number, deadline: number): number {
    const attempt = () => (this.#isBehind() ? AGAIN : this.#sendBatch(letters, from) || AGAIN);
    let said = attempt();
    if (said === AGAIN) said = spin(attempt);
    if (said === AGAIN) said = this.#parker.block<number>({ ...this.#writing('putMany'), attempt }, timeout, deadline);
    if (this.#kernel.waiting(this.#getters)) this.#parker.wake(this.#getters);
    return said;
  }

  async putManyAsync(values: ArrayLike<T>, options?: AsyncWaitOptions): Promise<void> {
    const put = this.#sendingMany(values);
    try {
      await this.#parker.wait(put, options);
    } catch (error) {
      throw error instanceof RingfenceError ? Object.assign(error, { done: put.done() }) : error;
    }
  }

  #sendingMany(values: ArrayLike<T>): Operation<void> & { done(): number } {
    let done = 0;
    let lone: Operation<void> | undefined; // the next item, for which there was no memory
    return {
      ...this.#writing('putMany'),
      done: () => done,
      attempt: () => {
        while (done < values.length) {
          const sent = lone ? Number(lone.attempt() !== AGAIN) : this.#sendSome(values, done);
          done += sent;
          if (sent > 0) lone = undefined;
          else if (lone) return AGAIN;
          else lone = this.#sending(values[done] as T, AGAIN);
        }
        return undefined;
      },
      abandon: () => lone?.abandon?.(),
    };
  }

  /**
   * Puts some of `values` from index `from` on, in order: how many; 0 when there is no room, or promises of this thread wait for
   * it. For what events of the event loop have brought, and no more: see `Parker.wakeOrServe`.
   */
  putSome(values: ArrayLike<T>, from: number): number {
    if (this.#parker.hasWaiters(this.#putters)) return 0;
    return this.#handOver(this.#payloads.writeMany(values, from, this.#room));
  }

  /** As `putSome`, of a queue of bytes, straight from where they are. */
  putPacked(packed: Packed, from: number): number {
    if (this.#parker.hasWaiters(this.#putters)) return 0;
    return this.#handOver(this.#payloads.writePacked?.(packed, from, this.#room) ?? 0);
  }

  #handOver(letters: number): number {
    const sent = this.#sendPrepared(letters);
    if (this.#kernel.waiting(this.#getters)) this.#parker.wakeOrServe(this.#getters);
    return sent;
  }

  /** Sends what there is room for of `values` from index `from` on: how many. */
  #sendSome(values: ArrayLike<T>, from: number): number {
    const sent = this.#sendPrepared(this.#payloads.writeMany(values, from, this.#room));
    if (this.#kernel.waiting(this.#getters)) this.#parker.wake(this.#getters);
    return sent;
  }

  /** As far as one can see, and one in any case: the ring knows better. */
  get #room(): number {
    return Math.max(1, this.#queue.capacity - this.#kernel.ringSize(this.#queue.offset));
  }

  #sendPrepared(letters: number): number {
    if (letters === 0) return 0;
    let sent = 0;
    try {
      sent = this.#sendBatch(letters);
    } finally {
      this.#payloads.dropMany(sent, letters);
    }
    return sent;
  }

  /** Sends the first of the `letters` prepared in the batch, or of those behind the first `from`: how many. */
  #sendBatch(letters: number, from = 0): number {
    const { offset, serial, region } = this.#queue;
    const said = this.#records
      ? this.#records.sendMany(letters, from)
      : this.#kernel.ringPutMany(offset, serial, region.record, region.slot + 1, letters);
    if (said < 0) throw refusal(this.#queue, said);
    return said;
  }

  /** As `put`, of a record that was filled. */
  produce(letter: Letter, timeout: number): void {
    if (!this.#isBehind() && (this.#send(letter, NONE) || this.#sendSoon(letter, NONE))) return;
    this.#parker.block(this.#inTurn(this.#sending(NONE, letter)), timeout);
  }

  tryProduce(letter: Letter): boolean {
    const sent = !this.#isBehind() && this.#send(letter, NONE);
    if (!sent) this.#payloads.drop(letter);
    return sent;
  }

  async produceAsync(letter: Letter, options?: AsyncWaitOptions): Promise<void> {
    if (!this.#parker.hasWaiters(this.#putters) && this.#send(letter, NONE)) return;
    return this.#parker.wait(this.#sending(NONE, letter), options);
  }

  produceMany(records: Records<T>, count: number, fill: (view: View<T>, index: number) => void, timeout: number): void {
    const deadline = performance.now() + timeout;
    let done = 0;
    try {
      while (done < count) {
        const letters = records.fillMany(fill, done, count - done);
        try {
          for (let sent = 0; sent < letters; ) {
            const more = this.#putPrepared(letters, sent, timeout, deadline);
            sent += more;
            done += more;
          }
          if (records.failure) throw records.failure.error;
        } finally {
          records.dropMany();
        }
      }
    } catch (error) {
      throw typeof error === 'object' && error !== null ? Object.assign(error, { done }) : error;
    }
  }

  /** The put of a reservation's first `length` bytes, as synchronous code puts it. */
  committing(reservation: Reservation, length: number | undefined): Operation<void> {
    return this.#inTurn(this.promising(reservation, length));
  }

  /** As `committing`, of a promise. */
  promising(reservation: Reservation, length: number | undefined): Operation<void> {
    requireLoan('reservation', reservation, Reservation);
    return reservation.sent(this.#sending(NONE, reservation.begin(this.#queue, length)));
  }

  #writing(verb: string): Pick<Operation<never>, 'what' | 'object' | 'set' | 'passOn'> {
    return {
      what: `${verb} to ${this.#queue.title}`,
      object: this.#queue,
      set: this.#putters,
      passOn: () => this.#kernel.waiting(this.#putters) !== 0 && this.#kernel.ringWritable(this.#queue.offset) !== 0,
    };
  }

  /** A put of synchronous code: promises of this thread that came first go first. */
  #inTurn(put: Operation<void>): Operation<void> {
    return { ...put, attempt: () => (this.#isBehind() ? AGAIN : put.attempt()) };
  }

  /** Whether promises of this thread still wait to put, after those were served that can go on. */
  #isBehind(): boolean {
    if (!this.#parker.hasWaiters(this.#putters)) return false;
    this.#parker.serve(this.#putters);
    return this.#parker.hasWaiters(this.#putters);
  }

  #sending(value: T, written: Letter | typeof AGAIN): Operation<void> {
    let letter = written;
    let lacking = letter === AGAIN ? this.#payloads.lacking : 0;
    return {
      ...this.#writing('put'),
      attempt: () => {
        if (letter === AGAIN && this.#payloads.hasRoom(lacking)) {
          letter = this.#payloads.write(value);
          lacking = this.#payloads.lacking;
        }
        return letter !== AGAIN && this.#send(letter, value) ? undefined : AGAIN;
      },
      abandon: () => {
        if (letter !== AGAIN) this.#payloads.drop(letter);
      },
    };
  }

  #sendSoon(letter: Letter, value: T): boolean {
    return spin(() => this.#send(letter, value) || AGAIN) === true;
  }

  /** Sends a letter; false when the queue is full. */
  #send(letter: Letter, value: T): boolean {
    const said = this.#payloads.send(letter, value);
    if (said === DONE) return true;
    if (said === BUSY) return false;
    if (said !== WAKE) {
      if (said !== FREED) this.#payloads.drop(letter);
      throw refusal(this.#queue, said);
    }
    this.#parker.wake(this.#getters);
    return true;
  }
}
