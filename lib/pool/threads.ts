import process from 'node:process';
import type { Transferable, Worker } from 'node:worker_threads';
import { Piscina, queueOptionsSymbol } from 'piscina';
import { TaskError, ThreadDiedError } from '../memory/errors.ts';
import { attach, type Shared, share } from '../memory/handles.ts';
import { isFailure, unpack } from './failure.ts';
import { isMoved, MOVED_VALUE, transfersOf, whyNotMovable } from './message.ts';
import { Turnstile } from './turnstile.ts';
import type { Call } from './worker.ts';

export type PiscinaOptions = NonNullable<ConstructorParameters<typeof Piscina>[0]>;

/** How one call goes to a thread. */
export interface Dispatch {
  /** Names the call in errors. */
  readonly what: string;
  readonly transferList: readonly Transferable[];
  /** Its abort takes the call out of the queue, or terminates the thread that runs it. */
  readonly signal: AbortSignal | undefined;
}

/** What piscina says of a full queue; these errors have no code. */
const QUEUE_FULL = ['Task queue is at limit', 'No task queue available and all Workers are busy'];

/** Whoever sets one of these wants piscina's own queue, and gets it. */
const PISCINA_QUEUE = ['taskQueue', 'maxQueue', 'loadBalancer', 'stricterFIFO'];

/**
 * The threads of a pool: piscina, and what has to be added to it so that nobody waits for ever and no thread is
 * forgotten.
 *
 * piscina rejects alike with what a task threw, with what killed its thread and with its own refusals; here each is
 * told apart.
 */
export class Threads {
  readonly piscina: Piscina<Shared<Call>, Shared<unknown>>;
  readonly #name: string;
  readonly #onExit: (threadId: number) => void;
  /** Each thread that may have been given a task, until it has exited. */
  readonly #exits = new Map<Worker, Promise<void>>();
  /**
   * The queue. piscina's own does not keep the order: with the default `stricterFIFO: false` sixteen tasks begin as
   * 0, 2, 4 … 14, 1, 5, 9, 13, 3, 11, 7, 15, and with `true` those that have a signal begin last in, first out.
   */
  readonly #turnstile: Turnstile;
  #pending = 0;
  /** Why no thread starts, while that is so. */
  #stillborn: unknown;

  /** `onExit` hears of each thread that may have run a task, when it is gone. */
  constructor(name: string, options: PiscinaOptions, onExit: (threadId: number) => void) {
    this.#name = name;
    this.#onExit = onExit;
    this.piscina = new Piscina(options);
    const asked = PISCINA_QUEUE.some((option) => option in options);
    this.#turnstile = new Turnstile(
      asked ? Infinity : this.piscina.maxThreads * this.piscina.options.concurrentTasksPerWorker,
    );
    this.#watch();
    // A thread is given its first task after this event only.
    this.piscina.on('workerCreate', () => {
      this.#stillborn = undefined;
      this.#watch();
    });
    this.piscina.on('workerDestroy', () => queueMicrotask(() => this.#giveUpIfNoneStarts()));
    this.piscina.on('error', (error) => this.#hearStray(error));
  }

  /** How many calls no thread has begun. */
  get queued(): number {
    return this.#turnstile.waiting + this.piscina.queueSize;
  }

  /** Runs one call; throws before anything is queued if its shared objects cannot be sent. */
  async run(name: string, payload: unknown, dispatch: Dispatch): Promise<unknown> {
    const moved = isMoved(payload);
    const moving = moved ? [...dispatch.transferList, ...transfersOf(payload)] : dispatch.transferList;
    const call = share<Call>({ name, args: [moved ? payload[MOVED_VALUE] : payload] });
    const task = withGuard(withQueueOptions(call, payload), moving);
    return attach(await this.#perform(task, { ...dispatch, transferList: moving }));
  }

  async #perform(task: Shared<Call>, { what, transferList, signal }: Dispatch): Promise<Shared<unknown>> {
    this.#pending++;
    try {
      const turn = this.#turnstile.enter(signal);
      // With a free place the task is on its way when `run` returns, also if this thread blocks then.
      if (turn) await turn;
      const options = { transferList: [...transferList], signal: signal ?? null };
      return await this.piscina.run(task, options).finally(() => this.#turnstile.leave());
    } catch (reason) {
      throw signal?.aborted ? signal.reason : this.#explain(reason, what);
    } finally {
      this.#pending--;
    }
  }

  /**
   * Terminates whatever runs. More than one round, since piscina replaces a thread that was terminated before and exits
   * only now.
   */
  async end(): Promise<void> {
    this.#turnstile.refuseAll(new Error('the pool was terminated'));
    while (this.piscina.threads.length > 0 || this.#exits.size > 0) {
      await this.piscina.destroy();
      await Promise.all(this.#exits.values());
    }
  }

  #watch(): void {
    for (const worker of this.piscina.threads) {
      if (this.#exits.has(worker)) continue;
      const id = worker.threadId; // At its exit the worker has forgotten it.
      const exit = new Promise<void>((resolve) => worker.once('exit', () => resolve())).then(() => {
        this.#exits.delete(worker);
        this.#onExit(id);
      });
      this.#exits.set(worker, exit);
    }
  }

  #explain(reason: unknown, what: string): unknown {
    if (isFailure(reason)) return unpack(attach(reason as Shared<typeof reason>));
    if (isRefusal(reason)) return new TaskError(`${what} was not run: ${reason.message}`, { cause: reason });
    const cause = this.#stillborn ?? reason;
    return new ThreadDiedError(`the thread of ${what} ended before its function did: ${cause}`, { cause });
  }

  /** The error of a thread that ran no task: it cannot start, or a callback threw that a task had left behind. */
  #hearStray(cause: unknown): void {
    this.#stillborn = cause;
    queueMicrotask(() => {
      if (this.piscina.threads.length === 0 && this.#pending > 0) return;
      this.#stillborn = undefined;
      process.emitWarning(
        new ThreadDiedError(`a thread of pool ${this.#name} died between tasks: ${cause}`, { cause }),
      );
    });
  }

  /** piscina stops to replace threads once one died while it started, and would leave the queue waiting. */
  #giveUpIfNoneStarts(): void {
    if (this.piscina.threads.length > 0 || this.#pending === 0) return;
    this.#turnstile.refuseAll(this.#stillborn ?? new Error('no thread starts'));
    void this.piscina.destroy();
  }
}

/** For a task queue of the user's own: piscina reads its options from the task. */
function withQueueOptions(call: Shared<Call>, payload: unknown): Shared<Call> {
  const options = Object(payload)[queueOptionsSymbol];
  return options === undefined ? call : Object.assign(call, { [queueOptionsSymbol]: options });
}

/**
 * Asks once more when piscina posts the call, by a property that cloning has to read: a task that waited before it has
 * moved the same buffer.
 */
function withGuard(call: Shared<Call>, moving: readonly Transferable[]): Shared<Call> {
  if (moving.length === 0) return call;
  const guard = (): void => {
    const refusal = whyNotMovable(moving);
    if (refusal) throw refusal;
  };
  return Object.defineProperty(call, 'guard', { enumerable: true, get: guard });
}

/** Whether piscina or `postMessage` refused the task, so that it never reached a thread. */
function isRefusal(reason: unknown): reason is Error {
  if (!(reason instanceof Error)) return false;
  if (reason instanceof DOMException) return reason.name === 'DataCloneError';
  return QUEUE_FULL.includes(reason.message) || ('code' in reason && reason.code === 'ERR_INVALID_TRANSFER_OBJECT');
}
