import { requireInteger, requireOptions, requireTimeout, show } from '../memory/errors.ts';
import { Region } from '../memory/region.ts';
import { requireSignal } from '../memory/wait.ts';
import { moduleUrl, type Result, requireName, type TaskName } from '../pool/options.ts';
import type { Codec } from '../queue/codec.ts';
import { knownAs } from '../queue/known.ts';
import type { Node } from './plan.ts';
import type { ErrorPolicy } from './stage.ts';
import type { Exported } from './thread.ts';

/**
 * The address of a module whose functions a pipeline runs: a `file:` or `data:` URL, or a path. Cast a URL to the type of its
 * module, and names and results are typed.
 *
 * @example
 * const work = new URL('./work.js', import.meta.url) as WorkerModule<typeof import('./work.js')>;
 * const hashes = await pipeline(paths).map(work, 'hash').toArray();
 */
export type WorkerModule<M = unknown> = (URL | string) & { readonly [exports]?: M };
declare const exports: unique symbol;

/** The names of the functions of a module; any name where its type is not known. */
export type FunctionName<M> = unknown extends M ? string : TaskName<M>;

/** What such a function gives, awaited. */
export type Given<M, K> = unknown extends M ? unknown : Result<M, K>;

/** What such a function gives one by one. */
export type GivenEach<M, K> = Given<M, K> extends Iterable<infer R> | AsyncIterable<infer R> ? R : unknown;

/** What arrives behind a stage: what its function gives, or where nobody knows, what the codec carries. */
export type Carried<G, C> = unknown extends G ? C : G;

/** Refuses a codec that does not carry what the function gives. */
export type Fits<G, C> = [G] extends [C] ? unknown : { readonly codec?: Codec<NoInfer<G>> };

/** How the records behind a stage, or behind the source, wait for the next one. */
export interface LineOptions<C = unknown> {
  /**
   * Records that may wait behind it, 1 to 16,777,216; 8,192 by default; those count that its threads have written and cannot
   * send yet. Then it waits itself. A thread that works on a message has up to 1,024 of them in its hands besides.
   */
  capacity?: number | undefined;
  /**
   * How they are encoded: one of `codec`, also what `codec.struct` and `codec.define` make; `codec.any` by default. Where the
   * records are arrays that `batch` made, the codec is that of what is in them. The threads know a codec of `codec.define`
   * when the module of their function defines it, or imports what does.
   */
  codec?: Codec<C> | Codec<unknown> | undefined;
}

/** Options of a stage. */
export interface StageOptions<C = unknown> extends LineOptions<C> {
  /** Shows in errors and in `stats()`; the name of the function by default. */
  name?: string | undefined;
  /** Threads of their own that it has, 1 to 64; 1 by default. */
  threads?: number | undefined;
  /** Whether several threads give their records in the order in which they came, which is the default. */
  ordered?: boolean | undefined;
  /**
   * What becomes of a record that fails: `'stop'` fails the pipeline, which is the default; `'skip'` leaves it out, and
   * `stats()` counts it; `'collect'` leaves it out, and all such errors are thrown together when the pipeline has ended.
   */
  errors?: ErrorPolicy | undefined;
  /** How often a record that failed is tried again, 0 to 1,000; 0 by default. */
  retries?: number | undefined;
  /**
   * Whether records of a `codec.struct` come to its function as views, which are good until it returns or its promise
   * settles, and not as objects; false by default. That of `map` then gets a second one, all zero, where what it gives is of
   * a struct, too: it may write into that and return it. For tiny records that is two or three times as fast.
   */
  views?: boolean | undefined;
  /** Milliseconds that a record may take; then its thread is terminated, and the pipeline fails. None by default. */
  timeout?: number | undefined;
}

/** Options of `pipeline`. */
export interface PipelineOptions<C = unknown> extends LineOptions<C> {
  /** Where its queues live; that of a source which is a queue, or `Region.current`. */
  region?: Region | undefined;
  /** Shows in errors. */
  name?: string | undefined;
  /** What its stages do with records that fail, unless they say it themselves. */
  errors?: ErrorPolicy | undefined;
  /**
   * Of a source that is a queue, how many items may be in the pipeline, taken and not acknowledged, 1 to 1,048,576; 1,024 by
   * default, and no more than the queue allows. A batch must fit in. A plain `Queue` is not bounded so.
   */
  inFlight?: number | undefined;
  /** Its abort stops the pipeline, which rejects with `signal.reason`. */
  signal?: AbortSignal | undefined;
  /** Milliseconds that a thread has to end by itself when the pipeline stops, before it is terminated; 1,000 by default. */
  grace?: number | undefined;
  /** Milliseconds between two `progress` events; 250 by default. */
  interval?: number | undefined;
}

/** Options of the last step. */
export interface SinkOptions {
  /** Shows in errors and in `stats()`. */
  name?: string | undefined;
  /** As for a stage; for `forEach` and `reduce`. */
  errors?: ErrorPolicy | undefined;
  /** As for a stage; for `forEach` and `reduce`. */
  retries?: number | undefined;
  /** As for a stage; for functions that run in a thread of their own. One of `to` may use each view until it asks for the next. */
  views?: boolean | undefined;
  /** As for a stage; for functions that run in a thread of their own. */
  timeout?: number | undefined;
  /** Whether `to` ends the stream, or closes the queue, after the last record; it does by default. */
  end?: boolean | undefined;
}

const CAPACITY = 8192;
/** Items of a source that is a queue. */
export const IN_FLIGHT = 1024;
const MOST_THREADS = 64;
const MOST_RETRIES = 1000;
const POLICIES: readonly unknown[] = ['stop', 'skip', 'collect'];

/** A node from what the user says; throws for what cannot be meant. */
export function nodeOf(name: string, options: StageOptions, errors: ErrorPolicy): Node {
  requireOptions(options);
  const { threads = 1, ordered = true, retries = 0, views = false, capacity = CAPACITY } = options;
  requireInteger('threads', threads, 1, MOST_THREADS);
  requireInteger('retries', retries, 0, MOST_RETRIES);
  requireInteger('capacity', capacity, 1, 2 ** 24);
  requireBoolean('ordered', ordered);
  requireBoolean('views', views);
  if (options.name !== undefined) requireName('name', options.name);
  return {
    name: options.name ?? name,
    threads,
    ordered,
    retries,
    views,
    capacity,
    errors: requirePolicy(options.errors ?? errors),
    timeout: requireTimeout(options.timeout),
    codec: knownAs(options.codec),
    batch: 0,
    groups: 0,
  };
}

function requireBoolean(what: string, value: unknown): void {
  if (typeof value !== 'boolean') throw new TypeError(`${what} must be a boolean: got ${show(value)}`);
}

export function requirePolicy(value: unknown): ErrorPolicy {
  if (POLICIES.includes(value)) return value as ErrorPolicy;
  throw new TypeError(`errors must be 'stop', 'skip' or 'collect': got ${show(value)}`);
}

/** A function of a module; throws if there is no such file, or if it is a function of this thread. */
export function exportedOf(module: unknown, name: unknown): Exported {
  if (typeof module === 'function') {
    throw new TypeError(
      `module must be the URL of a module, and then the name of a function: got ${show(module)}, which cannot leave its thread`,
    );
  }
  requireName('name', name);
  return { module: moduleUrl(module).href, name: name as string };
}

export function requirePipelineOptions(options: PipelineOptions): void {
  requireOptions(options);
  const { region, name, errors, signal, interval = 1 } = options;
  if (region !== undefined && !(region instanceof Region)) {
    throw new TypeError(`region must be a Region: got ${show(region)}`);
  }
  if (name !== undefined) requireName('name', name);
  if (errors !== undefined) requirePolicy(errors);
  requireSignal(signal);
  requireInteger('inFlight', options.inFlight ?? IN_FLIGHT, 1, 2 ** 20);
  requireMilliseconds('grace', options.grace ?? 0, 0);
  requireMilliseconds('interval', interval, 1);
}

function requireMilliseconds(what: string, value: unknown, least: number): void {
  if (typeof value === 'number' && value >= least) return;
  throw new RangeError(`${what} must be a number of ${least} or more milliseconds: got ${show(value)}`);
}
