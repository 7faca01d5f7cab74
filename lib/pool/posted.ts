import process from 'node:process';
import type { Transferable } from 'node:worker_threads';
import { queueOptionsSymbol } from 'piscina';
import { TaskError, ThreadDiedError } from '../memory/errors.ts';
import { attach, type Shared, share } from '../memory/handles.ts';
import { isFailure, unpack } from './failure.ts';
import type { PoolTimes } from './histogram.ts';
import { isMoved, MOVED_VALUE, transfersOf, whyNotMovable } from './message.ts';
import { type Carrier, type Listener, type PiscinaOptions, type Task, Threads } from './threads.ts';
import type { Call } from './worker.ts';

/** What piscina says of a full queue; these errors have no code. */
const QUEUE_FULL = ['Task queue is at limit', 'No task queue available and all Workers are busy'];

/**
 * Tasks that go by piscina's own queue, each as a message: for whoever sets an option of that queue.
 *
 * piscina rejects alike with what a task threw, with what killed its thread and with its own refusals; here each is
 * told apart. An abort of a task that runs terminates its thread: piscina knows no other.
 */
export class Posted implements Carrier {
  readonly #threads: Threads;
  readonly #name: string;
  readonly #listener: Listener;
  #open = 0;
  /** Why no thread starts, while that is so. */
  #stillborn: unknown;

  constructor(name: string, options: PiscinaOptions, listener: Listener) {
    this.#name = name;
    this.#listener = listener;
    this.#threads = new Threads(options, {
      isWanted: () => this.#open > 0,
      exited: (thread) => listener.exited(thread),
    });
    this.#threads.piscina.on('workerCreate', () => {
      this.#stillborn = undefined;
    });
    this.#threads.piscina.on('error', (error) => this.#hearStray(error));
  }

  get threads(): Threads {
    return this.#threads;
  }

  get takesMany(): boolean {
    return false;
  }

  get open(): number {
    return this.#open;
  }

  get queued(): number {
    return this.#threads.piscina.queueSize;
  }

  get idle(): number {
    return this.#threads.piscina.idleThreads;
  }

  get runTime(): PoolTimes | undefined {
    const { options, histogram } = this.#threads.piscina;
    return options.recordTiming ? timesOf(histogram.runTime) : undefined;
  }

  get waitTime(): PoolTimes | undefined {
    const { options, histogram } = this.#threads.piscina;
    return options.recordTiming ? timesOf(histogram.waitTime) : undefined;
  }

  async run(task: Task): Promise<unknown> {
    const { name, payload, signal, what } = task;
    this.#open++;
    let fulfilled = false;
    try {
      const moved = isMoved(payload);
      const transferList = moved ? [...task.transferList, ...transfersOf(payload)] : [...task.transferList];
      const call = share<Call>({ name, args: [moved ? payload[MOVED_VALUE] : payload] });
      const message = withGuard(withQueueOptions(call, payload), transferList);
      const result = attach(await this.#perform(message, { transferList, signal: signal ?? null }, what));
      fulfilled = true;
      return result;
    } finally {
      this.#open--;
      task.clear?.();
      this.#listener.settled(fulfilled);
      if (this.#open === 0) this.#listener.idle();
    }
  }

  async #perform(
    message: Shared<Call>,
    options: { transferList: Transferable[]; signal: AbortSignal | null },
    what: string,
  ): Promise<Shared<unknown>> {
    try {
      return await this.#threads.piscina.run(message, options);
    } catch (reason) {
      throw options.signal?.aborted ? options.signal.reason : this.#explain(reason, what);
    }
  }

  finish(): void {}

  end(): Promise<void> {
    return this.#threads.end();
  }

  #explain(reason: unknown, what: string): unknown {
    if (isFailure(reason)) return unpack(attach(reason as Shared<typeof reason>));
    if (isRefusal(reason)) return notRun(what, reason);
    return threadDied(what, this.#stillborn ?? reason);
  }

  /** The error of a thread that ran no task: it cannot start, or a callback threw that a task had left behind. */
  #hearStray(cause: unknown): void {
    this.#stillborn = cause;
    queueMicrotask(() => {
      if (this.#threads.piscina.threads.length === 0 && this.#open > 0) return;
      this.#stillborn = undefined;
      warnOfStray(this.#name, cause);
    });
  }
}

export function notRun(what: string, cause: Error): TaskError {
  return new TaskError(`${what} was not run: ${cause.message}`, { cause });
}

export function threadDied(what: string, cause: unknown): ThreadDiedError {
  return new ThreadDiedError(`the thread of ${what} ended before its function did: ${cause}`, { cause });
}

/** Of a task that no thread has begun. */
export function threadDiedAgain(what: string, deaths: number, cause: unknown): ThreadDiedError {
  return new ThreadDiedError(
    `${what} was not run: ${deaths} threads in a row died which had taken it, and it is not given to another: ${cause}`,
    { cause },
  );
}

export function warnOfStray(pool: string, cause: unknown): void {
  process.emitWarning(new ThreadDiedError(`a thread of pool ${pool} died between tasks: ${cause}`, { cause }));
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

function timesOf({ mean, p50, p99, max }: PoolTimes): PoolTimes {
  return { mean: mean || 0, p50, p99, max };
}
