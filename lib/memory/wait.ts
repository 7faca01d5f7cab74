/**
 * Waiting: the only code that sleeps or wakes.
 *
 * An operation that cannot go on is one record: where its waiters register, how to try again, whom to tell on leaving.
 * The blocking driver parks the thread between tries, the async driver parks a promise; the kernel knows neither.
 *
 * Block  1. try for a short while: `spin`  2. publish what this thread waits for  3. register  4. try again
 *        5. without a timeout look for a deadlock: see waitgraph.ts  6. park on this thread's own word  7. from 3
 *        8. leave: unregister, and pass the wake on if somebody else could use it
 * Async  as above, but all promises of a thread share one `waitAsync` on the thread's word; on a wake the sets whose bit
 *        was taken are tried again, first come first served
 *
 * An operation may wait in several sets. It registers in each before it looks at all; when it is through it leaves each,
 * and so passes on the wakes for what it did not take.
 *
 * While a thread blocks, its promises cannot go on. So it first withdraws their registrations, and passes on the wakes
 * that they had received; they register again when the thread is back in its event loop.
 *
 * `waitAsync` does not keep the event loop alive, and it cannot be cancelled: a port is referenced exactly while a
 * promise is pending, and the one `waitAsync` of a thread is left for the next promise when the last one gave up.
 */
import { defaultMaxListeners, getMaxListeners, setMaxListeners } from 'node:events';
import { availableParallelism } from 'node:os';
import { MessageChannel } from 'node:worker_threads';
import { OBJECT_SERIAL, PARKED, THREAD_BYTES, THREAD_PARK } from '../kernel/layout.ts';
import { DeadlockError, requireOptions, requireTimeout, show, TimeoutError } from './errors.ts';
import type { Kernel } from './kernel.ts';
import { WaitGraph } from './waitgraph.ts';

/** What an attempt returns when the operation cannot go on yet. */
export const AGAIN: unique symbol = Symbol('again');

/** What a waiter registers for. */
export interface Awaited {
  /** The object that is waited for. */
  readonly object: { readonly offset: number; readonly serial: number };
  /** Address of the wait set. */
  readonly set: number;
  /** Asked when a waiter leaves: is there something that another waiter could use? */
  passOn(): boolean;
}

/** An operation that may have to wait. */
export interface Operation<R> extends Awaited {
  /** Names the operation in a `TimeoutError`. */
  readonly what: string;
  /** What it waits for besides, in other sets: the attempt looks at all of it. */
  readonly others?: readonly Awaited[] | undefined;
  /** Tries once; throws what the caller shall get. */
  attempt(): R | typeof AGAIN;
  /** Gives up what was prepared, when the wait ends by a timeout or an abort. */
  abandon?(): void;
}

/** For blocking forms; `timeout` in milliseconds, none by default. */
export interface WaitOptions {
  timeout?: number | undefined;
}

/** For async forms; an abort rejects with `signal.reason`. */
export interface AsyncWaitOptions extends WaitOptions {
  signal?: AbortSignal | undefined;
}

interface Waiter {
  readonly operation: Operation<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (reason: unknown) => void;
  /** Stops the timer and the signal's listener. */
  readonly release: () => void;
}

/** @internal Tries before a thread parks: some tens of microseconds in all, and none where no other thread could go on meanwhile. */
export const TRIES: number = availableParallelism() > 1 ? 100 : 0;

const pause: () => void = (Atomics as { pause?: () => void }).pause ?? (() => {});
const TURNS = 'pause' in Atomics ? 16 : 600; // a turn is tens of cycles with the processor's own pause, and about one without

/** @internal Rests between two tries: without it the line goes back and forth between two threads for each item. */
export function rest(): void {
  for (let turn = 0; turn < TURNS; turn++) pause();
}

/** The longest that a Node timer can wait, in ms; what is longer than these 24 days counts as forever. */
export const LONGEST_TIMER: number = 2 ** 31 - 1;

/** One signal for a thousand waits is a plan and no leak; `fetch` in undici raises the limit for the same reason. */
export function allowListeners(signal: AbortSignal): void {
  if (getMaxListeners(signal) === defaultMaxListeners) setMaxListeners(Number.POSITIVE_INFINITY, signal);
}

export function requireSignal(signal: unknown): void {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw new TypeError(`signal must be an AbortSignal: got ${show(signal)}`);
}

/** Checks the options of a blocking form, also when it need not wait. The timeout. */
export function requireWaitOptions(options: WaitOptions | undefined): number {
  if (options === undefined) return Number.POSITIVE_INFINITY;
  requireOptions(options);
  return requireTimeout(options.timeout);
}

/** As that, of an async form. Throws the reason of a signal that is aborted already. */
export function requireAsyncWaitOptions(options: AsyncWaitOptions | undefined): number {
  const timeout = requireWaitOptions(options);
  requireSignal(options?.signal);
  options?.signal?.throwIfAborted();
  return timeout;
}

const PATIENCE = 50; // ms: many times what a thread needs that is interrupted between two steps, and no more than a moment

/** Tries for so long that a thread which was interrupted in the middle of an operation has ended it; AGAIN when that did not help. */
export function outlast<R>(attempt: () => R | typeof AGAIN): R | typeof AGAIN {
  const end = performance.now() + PATIENCE;
  let result = attempt();
  while (result === AGAIN && performance.now() < end) {
    rest();
    result = attempt();
  }
  return result;
}

/** Tries for a short while; AGAIN when that did not help. */
export function spin<R>(attempt: () => R | typeof AGAIN): R | typeof AGAIN {
  for (let tries = 0; tries < TRIES; tries++) {
    rest();
    const result = attempt();
    if (result !== AGAIN) return result;
  }
  return AGAIN;
}

/** All that an operation waits for. */
function setsOf(operation: Operation<unknown>): readonly Awaited[] {
  return operation.others ? [operation, ...operation.others] : [operation];
}

/** What a waiter that stands in line for `set` waits for there. */
function awaitedIn(set: number, { operation }: Waiter): Awaited {
  return operation.others?.find((other) => other.set === set) ?? operation;
}

/** One thread's sleep in one region. */
export class Parker {
  readonly #kernel: Kernel;
  readonly #i32: Int32Array;
  readonly #threadsAt: number;
  readonly #threads: number;
  readonly #slot: number;
  readonly #record: number;
  readonly #waiters = new Map<number, Waiter[]>();
  /** Called when this thread blocks: what others were to do for it later, they do before. */
  readonly blocking: Set<() => void> = new Set();
  /** Who waits for whom. */
  readonly graph: WaitGraph;
  #published: Operation<unknown> | undefined; // what this thread's record says
  #next = 0; // the slot to be woken first, so that all get their turn
  #armed = false; // a waitAsync is pending
  #withdrawn = false; // the promises' registrations are withdrawn until the event loop turns
  #channel: MessageChannel | undefined;

  constructor(kernel: Kernel, i32: Int32Array, threadsAt: number, threads: number, slot: number) {
    this.#kernel = kernel;
    this.#i32 = i32;
    this.#threadsAt = threadsAt;
    this.#threads = threads;
    this.#slot = slot;
    this.#record = threadsAt + slot * THREAD_BYTES;
    this.graph = new WaitGraph(kernel, i32.buffer, threadsAt, threads, slot);
  }

  /**
   * Blocks the thread until the operation has gone through; throws `TimeoutError` at the deadline, which is `timeout` from now
   * unless the caller has waited already, and without a timeout `DeadlockError` when it never could. The caller has checked
   * the options and tried: see `spin`.
   */
  block<R>(operation: Operation<R>, timeout: number, deadline: number = performance.now() + timeout): R {
    this.#withdraw();
    for (const tell of this.blocking) tell();
    try {
      return this.#park(operation, timeout, deadline);
    } finally {
      this.#leave(operation);
      this.#unpublish();
      this.#rejoinSoon();
    }
  }

  #park<R>(operation: Operation<R>, timeout: number, deadline: number): R {
    const endless = deadline === Number.POSITIVE_INFINITY;
    for (;;) {
      this.#publish(operation, endless);
      this.#register(operation);
      if (operation.others) for (const other of operation.others) this.#register(other);
      const result = operation.attempt();
      if (result !== AGAIN) return result;
      const left = deadline - performance.now();
      if (left <= 0) {
        operation.abandon?.();
        throw new TimeoutError(operation.what, timeout);
      }
      if (endless) this.#refuseDeadlock(operation);
      if (this.#kernel.parkBegin(this.#record)) {
        Atomics.wait(this.#i32, this.#parkWord(this.#record), PARKED, left);
        this.#kernel.parkEnd(this.#record);
      }
    }
  }

  /**
   * Blocks the thread for so many milliseconds, or until it is woken for another reason. It stands in no set meanwhile, so nobody
   * wakes it for what comes.
   */
  doze(milliseconds: number): void {
    this.#withdraw();
    for (const tell of this.blocking) tell();
    if (this.#kernel.parkBegin(this.#record)) {
      Atomics.wait(this.#i32, this.#parkWord(this.#record), PARKED, milliseconds);
      this.#kernel.parkEnd(this.#record);
    }
    this.#rejoinSoon();
  }

  /** Once for each wait, and again if a wait of the code that an attempt ran came between. */
  #publish(operation: Operation<unknown>, endless: boolean): void {
    if (this.#published === operation) return;
    this.#published = operation;
    this.graph.begin(operation.object, operation.set, endless);
  }

  #unpublish(): void {
    this.#published = undefined;
    this.graph.end();
  }

  #refuseDeadlock(operation: Operation<unknown>): void {
    const deadlock = this.graph.deadlock((slot) => this.unpark(slot));
    if (deadlock === undefined) return;
    operation.abandon?.();
    throw new DeadlockError(deadlock);
  }

  /** Resolves when the operation has gone through; never blocks. Waiters of one set are served in their order. */
  async wait<R>(operation: Operation<R>, options?: AsyncWaitOptions): Promise<R> {
    const { timeout, signal } = this.#begin(operation, options);
    if (this.#waiters.size === 0 || !setsOf(operation).some(({ set }) => this.#waiters.has(set))) {
      const result = operation.attempt();
      if (result !== AGAIN) return result;
    }
    return new Promise<R>((resolve, reject) => {
      this.#enqueue(operation, timeout, signal, resolve as (value: unknown) => void, reject);
    });
  }

  #begin(
    operation: Operation<unknown>,
    options?: AsyncWaitOptions,
  ): { timeout: number; signal?: AbortSignal | undefined } {
    try {
      return { timeout: requireAsyncWaitOptions(options), signal: options?.signal };
    } catch (error) {
      operation.abandon?.();
      throw error;
    }
  }

  #enqueue(
    operation: Operation<unknown>,
    timeout: number,
    signal: AbortSignal | undefined,
    resolve: (value: unknown) => void,
    reject: (reason: unknown) => void,
  ): void {
    const giveUp = (reason: unknown) => this.#giveUp(waiter, reason);
    const onAbort = () => giveUp(signal?.reason);
    const expire = () => giveUp(new TimeoutError(operation.what, timeout));
    const timer = timeout > LONGEST_TIMER ? undefined : setTimeout(expire, timeout);
    const release = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal) allowListeners(signal);
    const waiter: Waiter = { operation, resolve, reject, release };
    const sets = setsOf(operation);
    for (const { set } of sets) {
      const waiters = this.#waiters.get(set);
      if (waiters) waiters.push(waiter);
      else this.#waiters.set(set, [waiter]);
    }
    this.#hold();
    for (const { set } of sets) this.#serve(set);
    this.#arm();
  }

  /** Rejects the promises that wait in the set: its object is being freed. */
  rejectAll(set: number, reason: unknown): void {
    const waiters = this.#waiters.get(set);
    if (!waiters || !this.#waiters.delete(set)) return;
    for (const waiter of waiters) {
      this.#quit(waiter);
      waiter.release();
      waiter.operation.abandon?.();
      waiter.reject(reason);
    }
    this.#hold();
  }

  /** Whether promises of this thread wait in the set. */
  hasWaiters(set: number): boolean {
    return this.#waiters.size > 0 && this.#waiters.has(set);
  }

  /** Tries the promises of a set in their order, as far as they can go on; leaves the set after the last one. */
  serve(set: number): void {
    const waiters = this.#waiters.get(set);
    const last = waiters?.at(-1);
    if (!waiters || !last) return;
    for (let waiter = waiters[0]; waiter && this.#attempt(waiter); waiter = waiters[0]) {
      waiters.shift();
      if (waiter.operation.others) this.#quit(waiter);
    }
    if (waiters.length > 0) return;
    this.#waiters.delete(set);
    this.#hold();
    this.#leaveSet(awaitedIn(set, last));
  }

  #serve(set: number): void {
    const waiter = this.#waiters.get(set)?.[0];
    if (waiter && !this.#withdrawn) this.#register(awaitedIn(set, waiter));
    this.serve(set);
  }

  /** Takes a waiter out of every line where it still stands, and leaves the sets in which nobody else is then in line. */
  #quit(waiter: Waiter): void {
    for (const awaited of setsOf(waiter.operation)) {
      const waiters = this.#waiters.get(awaited.set);
      const at = waiters?.indexOf(waiter) ?? -1;
      if (!waiters || at < 0) continue;
      waiters.splice(at, 1);
      if (waiters.length > 0) continue;
      this.#waiters.delete(awaited.set);
      this.#leaveSet(awaited);
    }
  }

  #attempt(waiter: Waiter): boolean {
    try {
      const result = waiter.operation.attempt();
      if (result === AGAIN) return false;
      waiter.resolve(result);
    } catch (error) {
      waiter.reject(error);
    }
    waiter.release();
    return true;
  }

  #giveUp(waiter: Waiter, reason: unknown): void {
    waiter.release();
    waiter.operation.abandon?.();
    waiter.reject(reason);
    this.#quit(waiter);
    for (const { set } of setsOf(waiter.operation)) this.#serve(set);
    this.#hold();
  }

  #arm(): void {
    if (this.#waiters.size === 0 || this.#withdrawn) return;
    if (!this.#kernel.parkBegin(this.#record)) {
      queueMicrotask(() => this.#awake());
      return;
    }
    if (this.#armed) return;
    const { async, value } = Atomics.waitAsync(this.#i32, this.#parkWord(this.#record), PARKED);
    this.#armed = async;
    if (async) {
      value.then(() => {
        this.#armed = false;
        this.#awake();
      });
    } else queueMicrotask(() => this.#awake());
  }

  #awake(): void {
    if (this.#withdrawn || this.#waiters.size === 0) return;
    this.#kernel.parkEnd(this.#record);
    for (const [set, [waiter]] of [...this.#waiters]) {
      const waits = waiter && this.#lives(awaitedIn(set, waiter)) && this.#kernel.isRegistered(set, this.#slot);
      if (!waits) this.#serve(set);
    }
    this.#arm();
  }

  #withdraw(): void {
    if (this.#withdrawn || this.#waiters.size === 0) return;
    this.#withdrawn = true;
    for (const [set, [waiter]] of this.#waiters) {
      const awaited = waiter && awaitedIn(set, waiter);
      if (awaited) this.#leaveSet(awaited);
    }
  }

  /** Not at once: what the promises take must not appear in the middle of the synchronous code that blocked. */
  #rejoinSoon(): void {
    if (!this.#withdrawn) return;
    queueMicrotask(() => {
      if (!this.#withdrawn) return;
      this.#withdrawn = false;
      for (const set of [...this.#waiters.keys()]) this.#serve(set);
      this.#arm();
    });
  }

  #register(awaited: Awaited): void {
    if (this.#lives(awaited)) this.#kernel.register(awaited.set, this.#slot);
  }

  #leave(operation: Operation<unknown>): void {
    this.#leaveSet(operation);
    if (operation.others) for (const other of operation.others) this.#leaveSet(other);
  }

  #leaveSet(awaited: Awaited): void {
    if (!this.#lives(awaited)) return;
    this.#kernel.unregister(awaited.set, this.#slot);
    if (awaited.passOn()) this.wake(awaited.set);
  }

  /** Whether the object was not freed: otherwise its wait set is somebody else's memory. */
  #lives({ object }: Awaited): boolean {
    return this.#i32[(object.offset + OBJECT_SERIAL) >> 2] === object.serial;
  }

  /** Wakes one thread of the set, in turn; touches no futex of a thread that is awake. It passes the wake on: see `passOn`. */
  wake(set: number): void {
    const slot = this.#takeWaiter(set);
    if (slot >= 0) this.unpark(slot);
  }

  /**
   * As `wake`, for what an event of the event loop has brought: when it is this thread's turn its promises are served at once, and
   * not by a wake that comes with a later turn. Promises that did so to each other might keep the event loop from turning for ever.
   */
  wakeOrServe(set: number): void {
    const slot = this.#takeWaiter(set);
    if (slot === this.#slot && !this.#withdrawn) this.#serve(set);
    else if (slot >= 0) this.unpark(slot);
  }

  #takeWaiter(set: number): number {
    const slot = this.#kernel.takeWaiter(set, this.#next);
    if (slot < 0 || slot >= this.#threads) return -1;
    this.#next = slot + 1 < this.#threads ? slot + 1 : 0;
    return slot;
  }

  /** Wakes everybody who is in the set now; once, even if a thread comes back meanwhile. */
  wakeAll(set: number): void {
    for (let slot = 0; slot < this.#threads; slot++) {
      if (this.#kernel.isRegistered(set, slot) && this.#kernel.unregister(set, slot)) this.unpark(slot);
    }
  }

  /** Wakes every thread, whatever it waits for, also one whose wake was lost on the way to the futex. */
  rouse(): void {
    for (let slot = 0; slot < this.#threads; slot++) {
      const record = this.#threadsAt + slot * THREAD_BYTES;
      if (this.#kernel.threadClaim(record) <= 0) continue;
      this.#kernel.unpark(record);
      Atomics.notify(this.#i32, this.#parkWord(record));
    }
  }

  /** Wakes the thread in `slot`, whatever it waits for. */
  unpark(slot: number): void {
    const record = this.#threadsAt + slot * THREAD_BYTES;
    // all, not one: besides the thread itself a waitAsync of its event loop may stand in line
    if (this.#kernel.unpark(record)) Atomics.notify(this.#i32, this.#parkWord(record));
  }

  #parkWord(record: number): number {
    return (record + THREAD_PARK) >> 2;
  }

  #hold(): void {
    if (this.#waiters.size > 0) this.#keepAlive().ref();
    else this.#channel?.port1.unref();
  }

  #keepAlive(): MessageChannel['port1'] {
    if (!this.#channel) {
      this.#channel = new MessageChannel();
      this.#channel.port1.on('message', () => {});
    }
    return this.#channel.port1;
  }
}
