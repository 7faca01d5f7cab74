import { type Transferable, Worker, type WorkerOptions } from 'node:worker_threads';
import { ClosedError, requireInteger, requireTimeout, show, TaskError } from '../memory/errors.ts';
import { type Shared, share } from '../memory/handles.ts';
import { Region, threadEnded } from '../memory/region.ts';
import type { PoolSnapshot } from '../memory/snapshot.ts';
import { requireSignal, type WaitOptions } from '../memory/wait.ts';
import { Deadline, within } from './deadline.ts';
import type { PoolTimes } from './histogram.ts';
import { type ErrorPolicy, flow, type Outcome } from './map.ts';
import {
  type AnyModule,
  type Args,
  asksForPiscinaQueue,
  type MapOptions,
  moduleUrl,
  type Payload,
  type PoolOptions,
  piscinaOptions,
  type Result,
  type RunOptions,
  requireBoolean,
  requireName,
  type TaskName,
} from './options.ts';
import { Posted } from './posted.ts';
import type { Batch } from './table.ts';
import { Thread } from './thread.ts';
import { type Carrier, type Listener, NoBatch, type Task, type Threads } from './threads.ts';
import { Transport } from './transport.ts';
import { type Boot, type Call, entry } from './worker.ts';

/** Where piscina starts a thread: see entry.cts. */
const PISCINA_ENTRY: string = new URL('./entry.cjs', import.meta.url).href;
/** Items of `map` that are under way by default, for each task that the threads run at once. */
const IN_FLIGHT = 64;
/** Items that go to a thread together, at the most. */
const MOST_IN_BATCH = 64;
const NONE: readonly Transferable[] = [];
const ERROR_POLICIES: readonly ErrorPolicy[] = ['stop', 'skip', 'collect'];

type EachOptions = Required<Pick<RunOptions, 'name' | 'signal' | 'terminate'>> & { name: string; terminate: boolean };

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
  /** How long tasks waited, from `run` until a thread began them; absent with `recordTiming: false`. */
  readonly waitTime?: PoolTimes;
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
 * Tasks and results go through two rings in the region, of which a pool takes up to 300 KiB with its first task, and begin
 * in the order in which they were accepted. A thread without tasks waits in its event loop, where timers, sockets and promises
 * go on that tasks left behind.
 *
 * piscina's options pass through, except `filename`, `name` and `closeTimeout`. `minThreads` must be 1 or more; threads above
 * it start when there are more tasks than places, and end when nothing was to be done for `idleTimeout`. `atomics` says how
 * threads wait for messages, and so only means something with an option of piscina's own queue: with `taskQueue`, `maxQueue`,
 * `loadBalancer`, `stricterFIFO` or `workerHistogram` tasks go by messages and in piscina's order, and an abort terminates.
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
  readonly #carrier: Carrier & { readonly threads: Threads };
  readonly #spawned = new Set<Thread>();
  readonly #drains: (() => void)[] = [];
  #called = { name: '', what: '' };
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
    const all = { ...passed, filename: PISCINA_ENTRY, workerData: this.#boot() };
    const listener: Listener = {
      settled: (fulfilled) => {
        this.#pending--;
        this.#count(fulfilled);
        if (this.#drains.length > 0) this.#settled();
      },
      idle: () => this.#settled(),
      exited: threadEnded,
    };
    this.#carrier = asksForPiscinaQueue(passed)
      ? new Posted(this.name, all, listener)
      : new Transport(this.name, this.#region, all, listener);
    this.#region.pools.add(this.#show);
  }

  /**
   * Runs one function of the module in a thread and resolves with its result. Does not block.
   *
   * Without `name` it is the default export, as in piscina. Leave the payload alone until the task begins: it may be copied
   * no earlier. What piscina's `move()` made is moved, as a payload and as a result.
   *
   * Rejects with what the function threw: class (of this library and of the language), name, message, stack of the
   * thread, `cause` and properties such as `code`. And with `TaskError` if the module does not load or has no such
   * function, or the payload or the result cannot be cloned; `ThreadDiedError` if the thread ended first; `ClosedError`
   * after `close`; `TimeoutError` or `signal.reason`.
   *
   * **Aborting.** An abort, or the end of `timeout`, which counts from the call, rejects at once. A task that waits is then
   * not run. One that runs hears of it by `taskSignal()`, and keeps its place in its thread until it returns; so does `close`
   * wait for it. With `terminate: true` its thread ends instead, wherever it is: if it held a lock, that is an owner's death.
   * A thread runs such a task alone, also with `concurrentTasksPerWorker`.
   *
   * **Death.** A task whose thread dies is not run again. One that its thread had taken and not begun runs on another, and
   * rejects with `ThreadDiedError` when that one dies as well before it is known to have begun it.
   *
   * Small payloads and results are encoded into shared memory; what the rings cannot carry goes by message: what is in
   * `transferList` or made by `move()`, shared memory of no region or another one, more than 64 KiB.
   *
   * @param options.name the exported function
   * @param options.timeout milliseconds, 0 or more
   * @param options.transferList what moves to the thread, as in `postMessage`
   * @param options.terminate whether an abort or a timeout ends the thread that runs the task
   */
  run<K extends TaskName<M>>(payload: Payload<M, K>, options: RunOptions & { name: K }): Promise<Result<M, K>>;
  run(payload: Payload<M, 'default'>, options?: RunOptions & { name?: never }): Promise<Result<M, 'default'>>;
  run(payload: unknown, options: RunOptions = {}): Promise<unknown> {
    try {
      const { name = 'default', transferList = NONE, terminate = false } = options;
      requireName('name', name);
      requireBoolean('terminate', terminate);
      if (!Array.isArray(transferList)) throw new TypeError(`transferList must be an array: got ${show(transferList)}`);
      if (this.#closed) throw new ClosedError(`pool ${this.name}`);
      const task = { name, what: this.#what(name), payload, transferList, terminate, signal: undefined };
      const limited = options.signal !== undefined || options.timeout !== undefined;
      return this.#start(limited ? { ...task, ...new Deadline(task.what, options) } : task);
    } catch (reason) {
      return Promise.reject(reason);
    }
  }

  #start(task: Task): Promise<unknown> {
    this.#pending++;
    return this.#carrier.run(task);
  }

  /**
   * Runs one function on every item of `source`, with backpressure: no more than `inFlight` items are taken from it
   * before their results are consumed. Does not block. The work starts with the first step of the iteration and goes on
   * while the consumer is busy.
   *
   * Results come in the order of the source, or with `ordered: false` as they are ready. An error, of a task or of the
   * source, ends the iteration at its place, after the results before it; further errors behind it are dropped. With
   * `errors: 'skip'` an item whose task fails has no result, and the iteration goes on; with `'collect'` it goes on as well,
   * and throws an `AggregateError` of all of them after the last result. An error of the source always ends it.
   *
   * While threads are busy, small items gather and go together, for as much as a millisecond of work; a thread that has
   * nothing to do gets the next item at once. When a thread dies, the items that it had begun fail, and no others.
   *
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
    const { maxThreads, options: passed } = this.#carrier.threads.piscina;
    const places = maxThreads * passed.concurrentTasksPerWorker;
    const {
      name = 'default',
      ordered = true,
      errors = 'stop',
      inFlight = IN_FLIGHT * places,
      signal,
      terminate = false,
    } = options;
    requireName('name', name);
    requireBoolean('terminate', terminate);
    requireInteger('inFlight', inFlight, 1, Number.MAX_SAFE_INTEGER);
    requireSignal(signal);
    requireBoolean('ordered', ordered);
    if (!ERROR_POLICIES.includes(errors))
      throw new TypeError(`errors must be one of ${ERROR_POLICIES.join(', ')}: got ${show(errors)}`);
    if (!isIterable(source))
      throw new TypeError(`source must be an iterable or an async iterable: got ${show(source)}`);
    if (this.#closed) throw new ClosedError(`pool ${this.name}`);
    const perform = (items: readonly unknown[]) => this.#runEach(items, { name, signal, terminate });
    const most = this.#carrier.takesMany ? MOST_IN_BATCH : 1;
    return flow(source, perform, { ordered, inFlight, errors, signal, places, most });
  }

  /** Runs one function on each item; never rejects. */
  async #runEach(items: readonly unknown[], options: EachOptions): Promise<readonly Outcome<unknown>[]> {
    if (items.length > 1 && !this.#closed && !options.signal?.aborted) return this.#runBatch(items, options);
    return Promise.all(items.map((item) => this.#runOne(item, options)));
  }

  #runOne(item: unknown, options: EachOptions): Promise<Outcome<unknown>> {
    const run = this.run.bind(this) as (payload: unknown, options: RunOptions) => Promise<unknown>;
    return run(item, options).then(
      (value) => ({ value }),
      (reason) => ({ reason, fatal: this.#closed && reason instanceof ClosedError }),
    );
  }

  async #runBatch(items: readonly unknown[], options: EachOptions): Promise<readonly Outcome<unknown>[]> {
    const { name, signal, terminate } = options;
    const what = this.#what(name);
    const deadline = new Deadline(what, { signal });
    this.#pending += items.length;
    let outcomes: Outcome<unknown>[];
    try {
      const task = { name, what, payload: items, transferList: NONE, terminate, many: true, ...deadline };
      const [values, failures] = (await this.#carrier.run(task)) as Batch;
      outcomes = values.map((value) => ({ value }));
      for (const [index, reason] of failures) outcomes[index] = { reason };
    } catch (thrown) {
      const { begun, reason } = thrown instanceof NoBatch ? thrown : { begun: items.length, reason: thrown };
      outcomes = items.slice(0, begun).map(() => ({ reason }));
    }
    this.#pending -= items.length;
    for (const outcome of outcomes) this.#count('value' in outcome);
    this.#settled();
    const rest = items.slice(outcomes.length).map((item) => this.#runOne(item, options));
    return [...outcomes, ...(await Promise.all(rest))];
  }

  #count(fulfilled: boolean): void {
    if (fulfilled) this.#completed++;
    else this.#failed++;
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
    const { threads, queued, idle, runTime, waitTime } = this.#carrier;
    return {
      threads: threads.piscina.threads.length,
      idle,
      spawned: this.#spawned.size,
      pending: this.#pending,
      queued,
      completed: this.#completed,
      failed: this.#failed,
      ...(runTime && { runTime }),
      ...(waitTime && { waitTime }),
    };
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
    this.#carrier.finish();
    await within(this.#drained(), 'close', { timeout }).catch(() => {});
    await Promise.all([...this.#spawned].map((thread) => thread.terminate()));
    await this.#carrier.end();
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

  /** Names a call in errors. The last one is kept: to put a string together for each of many tasks costs a tenth of a tiny one. */
  #what(name: string): string {
    if (name !== this.#called.name) this.#called = { name, what: `${name} in pool ${this.name}` };
    return this.#called.what;
  }

  #boot(call?: Shared<Call>): Boot {
    const region = share(this.#region);
    const ringfencePool = { region, pool: this.name, module: this.#module, ...(call && { call }) };
    return { ringfencePool, workerData: this.#workerData };
  }

  #startWorker(call: Shared<Call>, what: string): Worker {
    const { argv, execArgv, env, resourceLimits, trackUnmanagedFds } = this.#carrier.threads.piscina.options;
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
    if (this.#pending > 0 || this.#carrier.open > 0 || this.#spawned.size > 0) return;
    for (const resolve of this.#drains.splice(0)) resolve();
  }
}

function isIterable(source: unknown): boolean {
  const from = Object(source);
  return typeof from[Symbol.asyncIterator] === 'function' || typeof from[Symbol.iterator] === 'function';
}
