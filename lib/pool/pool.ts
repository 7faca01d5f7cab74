import { Worker, type WorkerOptions } from 'node:worker_threads';
import { ClosedError, requireInteger, requireTimeout, show, TaskError } from '../memory/errors.ts';
import { type Shared, share } from '../memory/handles.ts';
import { Region, threadEnded } from '../memory/region.ts';
import type { PoolSnapshot } from '../memory/snapshot.ts';
import { requireSignal, type WaitOptions } from '../memory/wait.ts';
import { Deadline, within } from './deadline.ts';
import { flow } from './map.ts';
import {
  type AnyModule,
  type Args,
  type MapOptions,
  moduleUrl,
  type Payload,
  type PoolOptions,
  piscinaOptions,
  type Result,
  type RunOptions,
  requireName,
  type TaskName,
} from './options.ts';
import { Thread } from './thread.ts';
import { Threads } from './threads.ts';
import { type Boot, type Call, entry } from './worker.ts';

/** Milliseconds. */
export interface PoolTimes {
  readonly mean: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** `pool.stats()`: true at some instant during the call. */
export interface PoolStats {
  /** Threads of the pool, those that are starting too. */
  readonly threads: number;
  /** Of these, threads that are ready and run nothing. */
  readonly idle: number;
  /** Threads of `spawn` that are alive. */
  readonly spawned: number;
  /** Tasks that were accepted and have not settled. */
  readonly pending: number;
  /** Of these, tasks that no thread has begun. */
  readonly queued: number;
  /** Tasks that gave a result. */
  readonly completed: number;
  /** Tasks that did not: they threw, were aborted, timed out, or lost their thread. */
  readonly failed: number;
  /** How long tasks ran in their threads; absent with `recordTiming: false`. */
  readonly runTime?: PoolTimes;
}

/**
 * Threads that run the functions of a module: piscina's threads, which carry the objects of a region.
 *
 * The module is an ordinary one with named exports, sync or async: `export function hash(payload) {…}`. It is given as
 * a `file:` or `data:` URL, or as a path, which is resolved against the working directory; write `new URL('./work.js',
 * import.meta.url)`. TypeScript works through any loader that this process was started with, or that `execArgv` names:
 * then give the address of the `.ts` file. Shared objects arrive live wherever they stand: in payloads, arguments,
 * results, `workerData`, properties of errors. With `new Pool<typeof import('./work.js')>(…)` names, payloads and
 * results are typed.
 *
 * piscina's options pass through, except `filename`, `name` and `closeTimeout`. `atomics` is `'disabled'` unless you
 * set it: an idle thread then waits in its event loop, where timers, sockets and the asynchronous waits of locks and
 * queues go on; piscina's default `'sync'` freezes them between two tasks, for a shorter way when one task is in flight
 * at a time. `minThreads` must be 1 or more. Tasks begin in the order in which they were accepted; with `taskQueue`,
 * `maxQueue`, `loadBalancer` or `stricterFIFO` they go through piscina's own queue, which keeps an order of its own.
 *
 * An idle pool does not keep the process running; a pending task or a spawned thread does. The constructor throws
 * `TypeError` or `RangeError` for a bad option and `TaskError` for a module file that is not there.
 *
 * @example
 * await using pool = new Pool<typeof import('./work.js')>(new URL('./work.js', import.meta.url), { threads: 4 });
 * const sum = await pool.run({ path: 'a.txt' }, { name: 'hash' });
 * for await (const line of pool.map(paths, { name: 'hash' })) console.log(line);
 */
export class Pool<M = AnyModule> {
  /** Shows in errors. */
  readonly name: string;
  readonly #module: string;
  readonly #region: Region;
  readonly #workerData: Shared<unknown>;
  readonly #threads: Threads;
  readonly #spawned = new Set<Thread>();
  readonly #drains: (() => void)[] = [];
  #pending = 0;
  #completed = 0;
  #failed = 0;
  #closed = false;

  constructor(module: URL | string, options: PoolOptions = {}) {
    const passed = piscinaOptions(options);
    const url = moduleUrl(module);
    const { region, name = url.protocol === 'data:' ? 'data:' : url.pathname.split('/').pop(), workerData } = options;
    requireName('name', name);
    if (region !== undefined && !(region instanceof Region))
      throw new TypeError(`region must be a Region: got ${show(region)}`);
    this.name = name as string;
    this.#module = url.href;
    this.#region = region ?? Region.current;
    this.#workerData = share(workerData);
    const all = { ...passed, filename: entry, workerData: this.#boot() };
    this.#threads = new Threads(this.name, all, threadEnded);
    this.#region.pools.add(this.#show);
  }

  /**
   * Runs one function of the module in a thread and resolves with its result. Does not block.
   *
   * Without `name` it is the default export, as in piscina. The payload is copied when the task begins: leave it alone
   * until then. What piscina's `move()` made is moved, as a payload and as a result.
   *
   * Rejects with what the function threw: class (of this library and of the language), name, message, stack of the
   * thread, `cause` and properties such as `code`. And with `TaskError` if the module does not load or has no such
   * function, or the payload or the result cannot be cloned; `ThreadDiedError` if the thread ended first; `ClosedError`
   * after `close`; `TimeoutError` or `signal.reason`.
   *
   * **Aborting is hard.** A task that waits is taken out of the queue; for one that runs, the only way is to terminate
   * its thread. If it held a lock, that is an owner's death. `timeout` counts from the call and does the same. A thread
   * runs such a task alone, also with `concurrentTasksPerWorker`.
   *
   * @param options.name the exported function
   * @param options.timeout milliseconds, 0 or more
   * @param options.transferList what moves to the thread, as in `postMessage`
   */
  run<K extends TaskName<M>>(payload: Payload<M, K>, options: RunOptions & { name: K }): Promise<Result<M, K>>;
  run(payload: Payload<M, 'default'>, options?: RunOptions & { name?: never }): Promise<Result<M, 'default'>>;
  async run(payload: unknown, options: RunOptions = {}): Promise<unknown> {
    const { name = 'default', transferList = [] } = options;
    requireName('name', name);
    if (!Array.isArray(transferList)) throw new TypeError(`transferList must be an array: got ${show(transferList)}`);
    const what = this.#what(name);
    if (this.#closed) throw new ClosedError(`pool ${this.name}`);
    const { signal, clear } = new Deadline(what, options);
    this.#pending++;
    try {
      const result = await this.#threads.run(name, payload, { what, transferList, signal });
      this.#completed++;
      return result;
    } catch (reason) {
      this.#failed++;
      throw reason;
    } finally {
      clear();
      this.#pending--;
      this.#settled();
    }
  }

  /**
   * Runs one function on every item of `source`, with backpressure: no more than `inFlight` items are taken from it
   * before their results are consumed. Does not block. The work starts with the first step of the iteration and goes on
   * while the consumer is busy.
   *
   * Results come in the order of the source, or with `ordered: false` as they are ready. An error, of a task or of the
   * source, ends the iteration at its place, after the results before it; further errors behind it are dropped.
   * Whenever the iteration ends, also by `break`, the source is closed and the tasks that run are awaited first, so
   * that nothing of it goes on. An abort ends it at once, as in `run`.
   *
   * Throws `TypeError` or `RangeError` for a bad argument and `ClosedError` after `close`.
   *
   * @param options.inFlight 1 or more
   */
  map<K extends TaskName<M>>(
    source: Iterable<Payload<M, K>> | AsyncIterable<Payload<M, K>>,
    options: MapOptions & { name: K },
  ): AsyncGenerator<Result<M, K>, void, undefined>;
  map(
    source: Iterable<Payload<M, 'default'>> | AsyncIterable<Payload<M, 'default'>>,
    options?: MapOptions & { name?: never },
  ): AsyncGenerator<Result<M, 'default'>, void, undefined>;
  map(
    source: Iterable<unknown> | AsyncIterable<unknown>,
    options: MapOptions = {},
  ): AsyncGenerator<unknown, void, undefined> {
    const { maxThreads, options: passed } = this.#threads.piscina;
    const {
      name = 'default',
      ordered = true,
      inFlight = 4 * maxThreads * passed.concurrentTasksPerWorker,
      signal,
    } = options;
    requireName('name', name);
    requireInteger('inFlight', inFlight, 1, Number.MAX_SAFE_INTEGER);
    requireSignal(signal);
    if (typeof ordered !== 'boolean') throw new TypeError(`ordered must be a boolean: got ${show(ordered)}`);
    if (!isIterable(source))
      throw new TypeError(`source must be an iterable or an async iterable: got ${show(source)}`);
    if (this.#closed) throw new ClosedError(`pool ${this.name}`);
    const run = this.run.bind(this) as (payload: unknown, options: RunOptions) => Promise<unknown>;
    return flow(source, (item) => run(item, { name, signal }), { ordered, inFlight, signal });
  }

  /**
   * Starts one function of the module on a thread of its own, at once, even while every thread of the pool is busy:
   * functions that wait for each other need that. Does not block.
   *
   * Throws `TaskError` if an argument cannot be cloned and `ClosedError` after `close`; whatever happens later rejects
   * `thread.join()`.
   */
  spawn<K extends TaskName<M>>(name: K, ...args: Args<M, K>): Thread<Result<M, K>> {
    requireName('name', name);
    if (this.#closed) throw new ClosedError(`pool ${this.name}`);
    const what = this.#what(name);
    const worker = this.#startWorker(share<Call>({ name, args }), what);
    const id = worker.threadId;
    const thread = new Thread<Result<M, K>>(worker, what, () => {
      threadEnded(id);
      this.#spawned.delete(thread);
      this.#settled();
    });
    this.#spawned.add(thread);
    return thread;
  }

  /** What the pool does now and has done; cheap enough to call each second. */
  stats(): PoolStats {
    const { piscina, queued } = this.#threads;
    const { threads, idleThreads: idle } = piscina;
    const counts = { pending: this.#pending, queued, completed: this.#completed, failed: this.#failed };
    const runTime = piscina.options.recordTiming && { runTime: timesOf(piscina.histogram.runTime) };
    return { threads: threads.length, idle, spawned: this.#spawned.size, ...counts, ...runTime };
  }

  /**
   * Accepts nothing more, finishes what was accepted, spawned threads too, and ends the threads. Resolves when all are
   * gone; may be called again.
   *
   * After `timeout` milliseconds it terminates what still runs, and those tasks reject with `ThreadDiedError`; without,
   * it waits.
   */
  async close(options: WaitOptions = {}): Promise<void> {
    const timeout = requireTimeout(options.timeout);
    this.#closed = true;
    await within(this.#drained(), 'close', { timeout }).catch(() => {});
    await Promise.all([...this.#spawned].map((thread) => thread.terminate()));
    await this.#threads.end();
    this.#region.pools.delete(this.#show);
  }

  /** `close()`: finishes what was accepted. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  readonly #show = (): PoolSnapshot => {
    const { threads, spawned, pending } = this.stats();
    return { name: this.name, threads, spawned, pending };
  };

  #what(name: string): string {
    return `${name} in pool ${this.name}`;
  }

  #boot(call?: Shared<Call>): Boot {
    const region = share(this.#region);
    const ringfencePool = { region, pool: this.name, module: this.#module, ...(call && { call }) };
    return { ringfencePool, workerData: this.#workerData };
  }

  #startWorker(call: Shared<Call>, what: string): Worker {
    const { argv, execArgv, env, resourceLimits, trackUnmanagedFds } = this.#threads.piscina.options;
    const options = {
      argv,
      execArgv,
      env,
      resourceLimits,
      trackUnmanagedFds,
      name: what,
      workerData: this.#boot(call),
    };
    try {
      return new Worker(new URL(entry), options as WorkerOptions);
    } catch (cause) {
      throw new TaskError(`${what} was not started: ${cause}`, { cause });
    }
  }

  #drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#drains.push(resolve);
      this.#settled();
    });
  }

  #settled(): void {
    if (this.#pending > 0 || this.#spawned.size > 0) return;
    for (const resolve of this.#drains.splice(0)) resolve();
  }
}

function isIterable(source: unknown): boolean {
  const from = Object(source);
  return typeof from[Symbol.asyncIterator] === 'function' || typeof from[Symbol.iterator] === 'function';
}

function timesOf({ mean, p50, p99, max }: PoolTimes): PoolTimes {
  return { mean, p50, p99, max };
}
