import { accessSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Transferable } from 'node:worker_threads';
import { requireInteger, show, TaskError } from '../memory/errors.ts';
import type { Region } from '../memory/region.ts';
import type { AsyncWaitOptions } from '../memory/wait.ts';
import type { PiscinaOptions } from './threads.ts';

/** A worker module of which no type was given. */
export type AnyModule = Record<string, (...args: unknown[]) => unknown>;

/** The names of the functions that module `M` exports. */
export type TaskName<M> = { [K in keyof M]: M[K] extends (...args: never[]) => unknown ? K : never }[keyof M] & string;

type Arguments<M, K> = K extends keyof M ? (M[K] extends (...args: infer A) => unknown ? A : never) : never;

/** What function `K` of module `M` takes, each argument for `spawn` and the first for `run` and `map`. */
export type Args<M, K> = Arguments<M, K> extends infer A extends unknown[] ? A : never;
export type Payload<M, K> = Args<M, K>[0];

/** What function `K` of module `M` gives, awaited. */
export type Result<M, K> = K extends keyof M
  ? M[K] extends (...args: never[]) => infer R
    ? Awaited<R>
    : never
  : never;

/** `name` means the pool here and the function in piscina; `close({ timeout })` stands for `closeTimeout`. */
type Passed = Omit<PiscinaOptions, 'filename' | 'name' | 'closeTimeout' | 'workerData'>;

/** Options of `new Pool`. All others of piscina pass through. */
export interface PoolOptions extends Passed {
  /**
   * Threads that start at once and stay, 1 to 1,024; one for each processor by default. Excludes `minThreads` and
   * `maxThreads`.
   */
  threads?: number | undefined;
  /** The `Region.current` of the threads; by default the one here. */
  region?: Region | undefined;
  /** Shows in errors; the file name of the module by default. */
  name?: string | undefined;
  /** What `workerData` is in the threads; shared objects in it arrive live. */
  workerData?: unknown;
}

/** Options of `pool.run`. */
export interface RunOptions extends AsyncWaitOptions {
  /** The exported function; `default` when absent. */
  name?: string | undefined;
  /** What moves to the thread and is no longer usable here, as in `postMessage`. */
  transferList?: readonly Transferable[] | undefined;
  /** Whether an abort or a timeout ends the thread of the task, if it runs; false by default. */
  terminate?: boolean | undefined;
}

/** Options of `pool.map`. */
export interface MapOptions {
  /** The exported function; `default` when absent. */
  name?: string | undefined;
  /** Results in the order of the source, which is the default, or as they come. */
  ordered?: boolean | undefined;
  /**
   * Most items that are taken from the source and not yet given out, 1 or more; by default 64 for each task that the
   * threads run at once.
   */
  inFlight?: number | undefined;
  /** What the error of a task does: it ends the iteration, which is the default, leaves the item out, or is told in the end. */
  errors?: 'stop' | 'skip' | 'collect' | undefined;
  /** Its abort ends the iteration with `signal.reason`. */
  signal?: AbortSignal | undefined;
  /** Whether the abort ends the threads of the tasks that run; false by default. */
  terminate?: boolean | undefined;
}

const MOST_THREADS = 1024;
const ATOMICS: readonly unknown[] = ['sync', 'async', 'disabled'];
const URL_LIKE = /^(file|data|https?|node|blob):/;

/** The URL of a worker module, from a URL or a path; throws if there is no such file. */
export function moduleUrl(module: unknown): URL {
  const text = module instanceof URL ? module.href : module;
  if (typeof text !== 'string' || text === '') {
    throw new TypeError(`module must be a URL or the path of a file: got ${show(module)}`);
  }
  const url = URL_LIKE.test(text) ? new URL(text) : pathToFileURL(resolve(text));
  if (url.protocol === 'data:') return url;
  if (url.protocol !== 'file:') throw new TypeError(`module must be a file: or data: URL: got ${show(text)}`);
  try {
    accessSync(fileURLToPath(url));
  } catch (cause) {
    throw new TaskError(`the worker module ${url} does not exist or cannot be read`, { cause });
  }
  return url;
}

/** The options for piscina; throws for one that cannot be meant. */
export function piscinaOptions(options: PoolOptions): PiscinaOptions {
  for (const [key, instead] of Object.entries({ filename: 'the first argument', closeTimeout: 'close({ timeout })' })) {
    if (key in options) throw new TypeError(`${key} is no option of Pool: use ${instead}`);
  }
  const { threads, region: _, name: __, ...passed } = options;
  if (passed.atomics !== undefined && !ATOMICS.includes(passed.atomics)) {
    throw new TypeError(`atomics must be one of ${ATOMICS.join(', ')}: got ${show(passed.atomics)}`);
  }
  const given = Object.entries({ ...numbersOf(threads, passed), ...passed }).filter(([, value]) => value !== undefined);
  // `disabled` lets a thread wait in its event loop. In piscina's own default `sync` an idle thread is frozen in
  // Atomics.wait, and with it every timer, socket and asynchronous wait that a task left pending; `async` keeps a
  // waitAsync of its own on each thread. Where tasks go through the rings, threads wait for these.
  return { atomics: 'disabled', ...Object.fromEntries(given) };
}

function numbersOf(threads: number | undefined, passed: Passed): { minThreads?: number; maxThreads?: number } {
  const { minThreads, maxThreads, concurrentTasksPerWorker } = passed;
  requireCount('concurrentTasksPerWorker', concurrentTasksPerWorker);
  requireCount('threads', threads, MOST_THREADS);
  // At least one thread: when the last one dies, piscina replaces it only up to minThreads, and what was queued would
  // wait for ever.
  requireCount('minThreads', minThreads, MOST_THREADS);
  requireCount('maxThreads', maxThreads, MOST_THREADS);
  if (minThreads === undefined && maxThreads === undefined) {
    const count = threads ?? availableParallelism();
    return { minThreads: count, maxThreads: count };
  }
  if (threads !== undefined) throw new TypeError('threads excludes minThreads and maxThreads: it stands for both');
  return {};
}

function requireCount(what: string, value: unknown, most: number = Number.MAX_SAFE_INTEGER): void {
  if (value !== undefined) requireInteger(what, value, 1, most);
}

/** Whoever sets one of these wants piscina's own queue, and gets it. */
const PISCINA_QUEUE = ['taskQueue', 'maxQueue', 'loadBalancer', 'stricterFIFO', 'workerHistogram'];

export function asksForPiscinaQueue(options: PiscinaOptions): boolean {
  return PISCINA_QUEUE.some((option) => option in options);
}

export function requireBoolean(what: string, value: unknown): asserts value is boolean {
  if (typeof value !== 'boolean') throw new TypeError(`${what} must be a boolean: got ${show(value)}`);
}

export function requireName(what: string, value: unknown): void {
  if (typeof value === 'string' && value !== '') return;
  throw new TypeError(`${what} must be a string of at least one character: got ${show(value)}`);
}
