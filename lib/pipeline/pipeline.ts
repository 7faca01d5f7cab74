import { EventEmitter } from 'node:events';
import type { Writable } from 'node:stream';
import type { AsyncQueue } from '../bridge/faces.ts';
import { requireInteger, show } from '../memory/errors.ts';
import { Region } from '../memory/region.ts';
import { isDefined, knownAs } from '../queue/known.ts';
import { Queue } from '../queue/queue.ts';
import {
  type Carried,
  exportedOf,
  type Fits,
  type FunctionName,
  type Given,
  type GivenEach,
  IN_FLIGHT,
  nodeOf,
  type PipelineOptions,
  requirePipelineOptions,
  type SinkOptions,
  type StageOptions,
  type WorkerModule,
} from './options.ts';
import type { Plan, SinkNode, SourceNode, StageNode } from './plan.ts';
import { Run } from './run.ts';
import { type PipelineStats, statsOf } from './stats.ts';
import { type Callable, type Fold, folding, isAsyncIterable, isIterable, type StepKind, visiting } from './steps.ts';
import { isAsyncQueue } from './supply.ts';

/** A function of a module that makes records in a thread of its own, or takes them there. */
export interface ThreadFunction {
  /** As in `map`. */
  module: URL | string;
  /** The exported function. A source gives an iterable or an async iterable: write a generator. */
  name: string;
  /** For a source: what its function is called with. */
  args?: readonly unknown[] | undefined;
}

/** Where records come from. */
export type PipelineSource<T> = Iterable<T> | AsyncIterable<T> | ReadableStream<T> | AsyncQueue<T> | ThreadFunction;

/** Where records go. */
export type PipelineSink<T> = Writable | WritableStream<T> | AsyncQueue<T> | ThreadFunction;

const GRACE = 1000; // ms
const INTERVAL = 250; // ms
const MOST_BATCH = 2 ** 20;

/**
 * Records that go through stages, each in threads of its own, with bounded memory between them: whoever is too fast waits.
 * `pipeline` makes it. Nothing starts before its last step: `toArray`, `forEach`, `reduce`, `to` or `for await`, of which there is one.
 *
 * A stage runs a function that a module exports, sync or async, one record after the other in each of its threads; what it
 * gives goes to the next stage without passing the thread that has the pipeline. Records are copied as by the codec.
 *
 * It emits `progress` with its `stats()` while it runs, and once more at its end.
 *
 * @example
 * const work = new URL('./work.js', import.meta.url);
 * const lines = pipeline(paths).map(work, 'hash', { threads: 4 });
 * for await (const line of lines) console.log(line);
 */
export class Pipeline<T = unknown> extends EventEmitter<{ progress: [PipelineStats] }> {
  readonly #options: PipelineOptions;
  readonly #source: SourceNode;
  readonly #stages: StageNode[] = [];
  #run: Run | undefined;
  #began = 0;
  #ended: PipelineStats | undefined;

  /** @internal */
  constructor(source: unknown, options: PipelineOptions) {
    super();
    requirePipelineOptions(options);
    this.#options = options;
    const { capacity, codec } = options;
    this.#source = { ...nodeOf('source', { capacity, codec }, 'stop'), from: sourceOf(source) };
  }

  /**
   * A stage that gives what its function gives for each record; `undefined` is an error, since it is what a forgotten
   * `return` gives. Throws TypeError or RangeError for a bad argument, TaskError for a module file that is not there.
   */
  map<M = unknown, K extends FunctionName<M> = FunctionName<M>, C = unknown>(
    module: WorkerModule<M>,
    name: K,
    options?: StageOptions<C> & Fits<Given<M, K>, C>,
  ): Pipeline<Carried<Given<M, K>, C>> {
    return this.#stage('map', module, name, options) as Pipeline<unknown> as Pipeline<never>;
  }

  /**
   * A stage whose function gives any number of records for each: an array, an iterable or an async iterable of them. With
   * retries, those of one record go on when all of them are there.
   */
  flatMap<M = unknown, K extends FunctionName<M> = FunctionName<M>, C = unknown>(
    module: WorkerModule<M>,
    name: K,
    options?: StageOptions<C> & Fits<GivenEach<M, K>, C>,
  ): Pipeline<Carried<GivenEach<M, K>, C>> {
    return this.#stage('flatMap', module, name, options) as Pipeline<unknown> as Pipeline<never>;
  }

  /** A stage that gives on the records for which its function gives something true. */
  filter<M = unknown, C = unknown>(
    module: WorkerModule<M>,
    name: FunctionName<M>,
    options?: StageOptions<C> & Fits<T, C>,
  ): this {
    return this.#stage('filter', module, name, options) as this;
  }

  /** A stage that gives on each record as it is when its function is through with it. */
  tap<M = unknown, C = unknown>(
    module: WorkerModule<M>,
    name: FunctionName<M>,
    options?: StageOptions<C> & Fits<T, C>,
  ): this {
    return this.#stage('tap', module, name, options) as this;
  }

  /** Groups the records into arrays of `size`, the last one of what is left. `size` is from 1 to 1,048,576. */
  batch(size: number): Pipeline<T[]> {
    requireInteger('size', size, 1, MOST_BATCH);
    this.#requireIdle();
    const last = this.#stages.at(-1) ?? this.#source;
    const groups = last.groups + 1;
    if (last.threads === 1 && last.batch === 0) Object.assign(last, { batch: size, groups });
    else {
      const { capacity, codec } = last; // a thread of its own: each of several threads would group its records only
      const node = nodeOf('batch', { capacity }, 'stop');
      this.#stages.push({ ...node, codec, kind: 'pass', call: undefined, batch: size, groups });
    }
    return this as unknown as Pipeline<T[]>;
  }

  /** Runs it; resolves with all records. Rejects with what failed: see `forEach`. */
  toArray(): Promise<T[]> {
    const records: T[] = [];
    const step = (record: unknown): undefined => void records.push(record as T);
    return this.#fold({ step, result: () => records }, 'toArray', {}) as Promise<T[]>;
  }

  /**
   * Runs it, and calls a function for each record, and awaits it: one of this thread, or one that a module exports, in a
   * thread of its own.
   *
   * Rejects when a stage, the source or the function failed, after everything has ended: with a StageError that names the
   * stage and the record, its `cause` being what was thrown; with an AggregateError when several failed, or when the
   * policy is `'collect'`, and then its `result` is what would have been given; with `signal.reason` after an abort.
   */
  forEach(fn: (record: T) => unknown, options?: SinkOptions): Promise<void>;
  forEach<M = unknown>(module: WorkerModule<M>, name: FunctionName<M>, options?: SinkOptions): Promise<void>;
  forEach(what: unknown, ...rest: unknown[]): Promise<void> {
    if (typeof what !== 'function') {
      const [name, options = {}] = rest as [unknown, SinkOptions?];
      return this.#inThread('forEach', exportedOf(what, name), undefined, options) as Promise<void>;
    }
    const [options = {}] = rest as [SinkOptions?];
    return this.#fold(visiting(what as Callable), 'forEach', options) as Promise<void>;
  }

  /**
   * Runs it, and resolves with the last state: the function makes the next one of the state before and a record. It is one of
   * this thread, or one that a module exports, in a thread of its own. Rejects as `forEach`.
   */
  reduce<S>(fn: (state: S, record: T) => S | Promise<S>, initial: S, options?: SinkOptions): Promise<S>;
  reduce<S, M = unknown>(module: WorkerModule<M>, name: FunctionName<M>, initial: S, options?: SinkOptions): Promise<S>;
  reduce(what: unknown, ...rest: unknown[]): Promise<unknown> {
    if (typeof what !== 'function') {
      const [name, initial, options = {}] = rest as [unknown, unknown, SinkOptions?];
      return this.#inThread('reduce', exportedOf(what, name), initial, options);
    }
    const [initial, options = {}] = rest as [unknown, SinkOptions?];
    return this.#fold(folding(what as Callable, initial), 'reduce', options);
  }

  /**
   * Runs it, and puts all records into a stream of Node or of the Web, into a queue, or into a function that a module
   * exports, which runs in a thread of its own: it gets an object for `for of`, which blocks, and `for await`, and what it
   * gives is resolved with. A function may return before the last record: then the pipeline stops. A stream that is
   * closed before is an error. When the pipeline fails, a stream is destroyed, and a queue is left open. Rejects as `forEach`.
   */
  async to<R = unknown>(sink: PipelineSink<T>, options: SinkOptions = {}): Promise<R> {
    const { end = true } = options;
    const into = sinkOf(sink, end);
    const isFunction = 'thread' in into && !(into.thread instanceof Queue);
    if (options.views && !isFunction)
      throw new TypeError('views is for functions: a stream and a queue keep their records');
    const name = isFunction ? (into.thread as SinkCall).name : 'to';
    const result = await this.#ends(this.#start({ ...nodeOf(name, options, this.#policy), into }));
    if (isAsyncQueue(sink) && end) await sink.close();
    return result as R;
  }

  /** Runs it, and gives its records in this thread; whoever leaves the loop stops the pipeline. Throws as `forEach` rejects. */
  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
    const run = this.#start({ ...nodeOf('for await', {}, 'stop'), into: { loop: true } });
    try {
      yield* run.records() as unknown as AsyncIterable<T>;
    } catch (error) {
      run.fail(error);
    } finally {
      await this.#ends(run);
    }
  }

  /** What has happened so far; cheap enough to call each second, and right for good when it has ended. */
  stats(): PipelineStats {
    if (this.#ended || !this.#run) return this.#ended ?? { seconds: 0, stages: [], ended: false };
    return statsOf(this.#run.layout.laid, performance.now() - this.#began, false);
  }

  get #policy(): NonNullable<StageOptions['errors']> {
    return this.#options.errors ?? 'stop';
  }

  #stage(kind: StepKind, module: unknown, name: unknown, options: StageOptions = {}): this {
    const call = exportedOf(module, name);
    const node = nodeOf(call.name, options, this.#policy);
    this.#requireIdle();
    this.#stages.push({ ...node, kind, call });
    return this;
  }

  async #fold(fold: Fold, name: string, options: SinkOptions): Promise<unknown> {
    return this.#ends(this.#start({ ...nodeOf(name, options, this.#policy), into: { fold } }));
  }

  async #inThread(
    kind: 'forEach' | 'reduce',
    call: SinkCall,
    initial: unknown,
    options: SinkOptions,
  ): Promise<unknown> {
    const into = { thread: { kind, initial, ...call } };
    return this.#ends(this.#start({ ...nodeOf(call.name, options, this.#policy), into }));
  }

  #requireIdle(): void {
    if (this.#run) throw new TypeError('the pipeline runs already: it has one last step, and no stages after it');
  }

  #start(sink: SinkNode): Run {
    this.#requireIdle();
    const { region, name = 'pipeline', signal, grace = GRACE, inFlight = IN_FLIGHT } = this.#options;
    const { from } = this.#source;
    const home = 'thread' in from && from.thread instanceof Queue ? from.thread.region : undefined;
    const plan: Plan = {
      region: region ?? home ?? Region.current,
      name,
      source: this.#source,
      stages: this.#stages,
      inFlight,
      signal,
      grace,
    };
    this.#run = new Run(plan, sink);
    this.#began = performance.now();
    return this.#run;
  }

  async #ends(run: Run): Promise<unknown> {
    const tell = (): boolean => this.emit('progress', this.stats());
    const timer = setInterval(tell, this.#options.interval ?? INTERVAL).unref();
    try {
      return await run.end();
    } finally {
      clearInterval(timer);
      this.#ended = statsOf(run.layout.laid, performance.now() - this.#began, true);
      tell();
    }
  }
}

/**
 * A pipeline over a source: an iterable or async iterable, so also a stream of Node or of the Web; a `Queue`, which is
 * drained until it is closed; or a function of a module that gives an iterable, in a thread of its own. Does not block, and
 * does not touch the source before the pipeline runs. When it ends, also early, the source is closed; a queue is not.
 *
 * Throws TypeError or RangeError for a bad argument, TaskError for a module file that is not there.
 *
 * @example
 * const work = new URL('./work.js', import.meta.url);
 * const sum = await pipeline(paths)
 *   .map(work, 'hash', { threads: 2 })
 *   .reduce((total: number, hash) => total + Number(hash), 0);
 */
export function pipeline<T>(source: ThreadFunction, options?: PipelineOptions<T>): Pipeline<T>;
export function pipeline<T, C = unknown>(
  source: PipelineSource<T>,
  options?: PipelineOptions<C> & Fits<T, C>,
): Pipeline<T>;
export function pipeline(source: unknown, options: PipelineOptions = {}): Pipeline {
  return new Pipeline(source, options);
}

type SinkCall = { readonly module: string; readonly name: string };

function sourceOf(source: unknown): SourceNode['from'] {
  if (source instanceof Queue && !isDefined(knownAs(source.codec))) return { thread: source };
  if (isAsyncQueue(source)) return { remote: source };
  if (isIterable(source) || isAsyncIterable(source)) return { here: source };
  if (isThreadFunction(source)) {
    const { args = [] } = source;
    if (!Array.isArray(args)) throw new TypeError(`args must be an array: got ${show(args)}`);
    return { thread: { ...exportedOf(source.module, source.name), args } };
  }
  throw new TypeError(
    `source must be an iterable, an async iterable, a stream, a queue or { module, name }: got ${show(source)}`,
  );
}

function sinkOf(sink: unknown, end: boolean): SinkNode['into'] {
  if (typeof end !== 'boolean') throw new TypeError(`end must be a boolean: got ${show(end)}`);
  if (sink instanceof Queue && !isDefined(knownAs(sink.codec))) return { thread: sink };
  if (isAsyncQueue(sink)) return { remote: sink };
  if (sink instanceof WritableStream || isWritable(sink)) return { stream: sink, end };
  if (isThreadFunction(sink)) {
    return { thread: { kind: 'to', initial: undefined, ...exportedOf(sink.module, sink.name) } };
  }
  throw new TypeError(
    `sink must be a writable stream that has not ended, a queue or { module, name }: got ${show(sink)}`,
  );
}

function isWritable(sink: unknown): sink is Writable {
  const { write, writable } = Object(sink);
  return typeof write === 'function' && writable === true;
}

function isThreadFunction(value: unknown): value is ThreadFunction {
  return typeof value === 'object' && value !== null && 'module' in value && 'name' in value;
}
