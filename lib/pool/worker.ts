import { createRequire, syncBuiltinESMExports } from 'node:module';
import { extname } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import threads, { isMainThread, parentPort, threadId } from 'node:worker_threads';
import { TaskError } from '../memory/errors.ts';
import { attach, type Shared } from '../memory/handles.ts';
import type { Region } from '../memory/region.ts';
import { nameThread } from '../memory/thread-table.ts';
// Whatever a payload may carry must come back to life here, also where the user's module does not import it.
import '../queue/broadcast.ts';
import '../queue/pipe.ts';
import '../queue/queue.ts';
import '../sync/barrier.ts';
import '../sync/condition.ts';
import '../sync/event.ts';
import '../sync/latch.ts';
import '../sync/mutex.ts';
import '../sync/rlock.ts';
import '../sync/rwlock.ts';
import '../sync/semaphore.ts';
import '../sync/value.ts';
import { type Failure, isFailure, pack } from './failure.ts';
import { isMoved, MOVED_VALUE, type Moved, sendable, transfersOf, whyNotMovable } from './message.ts';
import type { Residence } from './residence.ts';
import { Resident, type Workshop } from './resident.ts';

// What runs in each thread of a pool: piscina loads this file and not the user's module, so that a module that does not
// load is the failure of a task (piscina would leave the queue waiting), and so that errors arrive whole.

/** The address of this file, whatever its extension: `spawn` starts its threads from it, and piscina by way of entry.cts. */
export const entry: string = import.meta.url;

/** One call of a function of the worker module. */
export interface Call {
  readonly name: string;
  readonly args: readonly unknown[];
}

/** What a pool gives to its threads as `workerData`. */
export interface Boot {
  readonly ringfencePool: {
    readonly region: Shared<Region>;
    /** The name of the pool. */
    readonly pool: string;
    /** URL of the worker module. */
    readonly module: string;
    /** Only for a spawned thread: the one call that it exists for. */
    readonly call?: Shared<Call>;
  };
  readonly workerData: unknown;
}

/** The last message of a spawned thread; under a name, since its function may send messages too. */
export interface Report {
  readonly ringfenceReport: { readonly value: unknown } | Failure;
}

type Callable = (...args: unknown[]) => unknown;
type Exports = { readonly default?: Exports; readonly [name: string]: unknown };

const boot = isMainThread ? undefined : bootOf(threads.workerData);
const found = new Map<string, Callable>();
let joined = false;
let loading: Promise<Exports> | undefined;
let loaded: Exports | undefined;

if (boot?.ringfencePool.call) void spawned(boot.ringfencePool.call);

/**
 * Makes this thread one that takes tasks from the rings of its pool, and returns its id; a handler of piscina.
 * What is thrown is the error as data.
 */
export function reside(residence: Shared<Residence>): number {
  try {
    join();
    new Resident(attach(residence), workshop);
    return threadId;
  } catch (thrown) {
    throw pack(thrown);
  }
}

/** Runs one call that came by piscina's own queue. What is thrown is the error as data, rebuilt by the pool. */
export default async function perform(call: Shared<Call>): Promise<unknown> {
  try {
    const exports = await ready();
    const { name, args } = attach(call);
    const run = found.get(name) ?? find(name, exports);
    return asMessage(await run(...args), name);
  } catch (thrown) {
    throw pack(thrown);
  } finally {
    await printed();
  }
}

const workshop: Workshop = {
  find: (name) => found.get(name) ?? find(name, loaded ?? {}),
  get loaded() {
    return loaded !== undefined;
  },
  load: ready,
  asMessage: (result, name) => asMessage(result, name) as Shared<unknown>,
  printed,
};

/** The module, loaded by the first call; a call that follows a failure tries again. */
async function ready(): Promise<Exports> {
  try {
    loading ??= begin();
    loaded = await loading;
    return loaded;
  } catch (error) {
    loading = undefined;
    throw error;
  }
}

/**
 * The region comes first: the first region attached in a thread is its `Region.current`, also while the user's module
 * loads. Not before the first task, so that an idle thread takes no place in the region.
 */
async function begin(): Promise<Exports> {
  return load(join().module);
}

function join(): Boot['ringfencePool'] {
  if (!boot) throw new TaskError('this runs in the threads of a pool only');
  if (joined) return boot.ringfencePool;
  nameThread(`${boot.ringfencePool.pool} ${threadId}`);
  attach(boot.ringfencePool.region);
  // The user's module sees the workerData that the user gave, and not what the pool wrapped around it.
  Object.assign(threads, { workerData: attach(boot.workerData as Shared<unknown>) });
  syncBuiltinESMExports();
  joined = true;
  return boot.ringfencePool;
}

async function load(url: string): Promise<Exports> {
  try {
    return await import(url).catch((error) => required(url, error));
  } catch (cause) {
    throw new TaskError(`cannot load the worker module ${url}: ${cause}`, { cause });
  }
}

/**
 * For a language that only `require` was taught: under Node 20 the hooks of tsx for `import` do not reach the threads.
 */
function required(url: string, error: NodeJS.ErrnoException): Exports {
  const require = createRequire(import.meta.url);
  const known = error.code === 'ERR_UNKNOWN_FILE_EXTENSION' && extname(url) in require.extensions;
  if (!known) throw error;
  return require(fileURLToPath(url));
}

/** An export, or a property of the default export: how CommonJS modules look from here. */
function find(name: string, exports: Exports): Callable {
  const run = [exports, exports.default].map((from) => from?.[name]).find(isCallable);
  const names = Object.keys(exports).join(', ') || 'nothing';
  if (!run) throw new TaskError(`${boot?.ringfencePool.module} has no function ${inspect(name)}: it exports ${names}`);
  found.set(name, run);
  return run;
}

/**
 * The result with handles in it; one that cannot be sent is an error here, and would be the thread's death in piscina.
 */
function asMessage(result: unknown, name: string): unknown {
  if (!['object', 'function', 'symbol'].includes(typeof result) || result === null) return result;
  const carried = isMoved(result) ? movable(result) : sendable(result);
  if ('sent' in carried) return carried.sent;
  const cause = carried.refusal;
  throw new TaskError(`${name} returned what cannot be cloned: ${cause.message}`, { cause });
}

function movable(moved: Moved): { sent: Moved } | { refusal: Error } {
  const refusal = whyNotMovable(transfersOf(moved));
  return refusal ? { refusal } : { sent: moved };
}

/** The life of a spawned thread, which ends with its function, whatever timers that function left. */
async function spawned(call: Shared<Call>): Promise<void> {
  try {
    report(await perform(call));
  } catch (thrown) {
    parentPort?.postMessage({ ringfenceReport: isFailure(thrown) ? thrown : pack(thrown) });
  }
  process.exit();
}

function report(value: unknown): void {
  if (!isMoved(value)) parentPort?.postMessage({ ringfenceReport: { value } });
  else parentPort?.postMessage({ ringfenceReport: { value: value[MOVED_VALUE] } }, transfersOf(value));
}

/** Waits until the main thread has what was printed here, if it has not: a thread that is terminated loses the rest. */
function printed(): Promise<void> | undefined {
  const { stdout, stderr } = process;
  return stdout.writableLength > 0 || stderr.writableLength > 0 ? flushed() : undefined;
}

async function flushed(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    if (stream.writableLength > 0) await new Promise((resolve) => stream.write('', resolve));
  }
}

function bootOf(data: unknown): Boot | undefined {
  return typeof data === 'object' && data !== null && 'ringfencePool' in data ? (data as Boot) : undefined;
}

function isCallable(value: unknown): value is Callable {
  return typeof value === 'function';
}
