/**
 * A pipeline that runs: its threads, and how they end.
 *
 * End   1. whoever is the last producer of a line closes it  2. the sink has the last record  3. all threads are awaited
 * Stop  when the sink has ended before its input, a stage has failed, a thread has died or the signal has aborted:
 *       1. the event `stopped` is set  2. every line is closed, from the source on, and all who wait for a turn are woken
 *       3. all threads are awaited, and terminated when `grace` is over
 * Then  4. what was shared is freed  5. what failed is thrown: one error as it is, several as an AggregateError
 */
import type { Writable } from 'node:stream';
import { pipeline as streamTo } from 'node:stream/promises';
import type { AsyncQueue } from '../bridge/faces.ts';
import { StageError, ThreadDiedError, TimeoutError } from '../memory/errors.ts';
import { allowListeners, LONGEST_TIMER } from '../memory/wait.ts';
import { unpack } from '../pool/failure.ts';
import type { Thread } from '../pool/thread.ts';
import { isDefined } from '../queue/known.ts';
import type { Queue } from '../queue/queue.ts';
import { Delivery } from './delivery.ts';
import { add, gaugedIn, now, OUT, RECORD, SINCE, WAITED } from './gauge.ts';
import { Inlet } from './inlet.ts';
import { type Laid, Layout } from './layout.ts';
import { type Line, type Report, STOPPED } from './line.ts';
import type { Outlet } from './outlet.ts';
import { outletOf } from './output.ts';
import type { Plan, SinkNode } from './plan.ts';
import { pump, pumpAsync, Share } from './pump.ts';
import { Records } from './records.ts';
import { Stage } from './stage.ts';
import { startThread } from './start.ts';
import { isAsyncIterable, stepOf } from './steps.ts';
import { supply, type Terms } from './supply.ts';
import { Ledger } from './tickets.ts';
import { wakeTurns } from './turns.ts';

const KEPT = 1000; // errors that are collected; the others are counted

export class Run {
  readonly layout: Layout;
  readonly #plan: Plan;
  readonly #sink: SinkNode;
  readonly #threads: Thread[] = [];
  readonly #joins: Promise<unknown>[] = [];
  readonly #errors: unknown[] = [];
  readonly #collected: unknown[] = [];
  #missing = 0; // collected errors that were not kept
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #halt = new AbortController();
  readonly #collecting: Promise<void>;
  readonly #onAbort = (): void => this.fail(this.#plan.signal?.reason);
  #waking: Promise<unknown> = Promise.resolve();
  #result: Promise<unknown> = Promise.resolve();

  /** Starts everything but the loop of a sink that is a `for await`. Throws what cannot be started, and leaves nothing behind. */
  constructor(plan: Plan, sink: SinkNode) {
    plan.signal?.throwIfAborted();
    this.#plan = plan;
    this.#sink = sink;
    this.layout = new Layout(plan, sink);
    this.#collecting = this.#collect();
    if (plan.signal) allowListeners(plan.signal);
    plan.signal?.addEventListener('abort', this.#onAbort);
    try {
      this.#start();
    } catch (error) {
      this.fail(error);
    }
  }

  /** Resolves with what the sink gives, when nothing of the pipeline is left; rejects with what failed. */
  async end(): Promise<unknown> {
    const result = await this.#result.catch(() => undefined); // what failed was noted when it did
    await this.#close();
    const { signal } = this.#plan;
    if (this.#errors.length === 1) throw this.#errors[0];
    if (this.#errors.length > 1) {
      const first =
        signal?.aborted && this.#errors[0] === signal.reason ? 'the pipeline was aborted' : String(this.#errors[0]);
      throw new AggregateError(
        this.#errors,
        `${this.#errors.length} things failed in the pipeline, the first one: ${first}`,
      );
    }
    const failed = this.#collected.length + this.#missing;
    if (failed === 0) return result;
    const rest = this.#missing > 0 ? `, of which the first ${KEPT} are kept` : '';
    throw Object.assign(new AggregateError(this.#collected, `${failed} records failed in the pipeline${rest}`), {
      result,
    });
  }

  /** What failed stops everything. A stop that shows itself somewhere is no failure. */
  fail(error: unknown): void {
    if (error !== STOPPED) this.#errors.push(error);
    this.#stop();
  }

  /** The records that come to the sink, for a loop in this thread. */
  records(): Records {
    const { gauges } = this.#laidSink;
    return new Records(this.#inlet(), gaugedIn(gauges, 0));
  }

  /** Where codecs may be defined that these lines have: all modules of the pipeline, each once. */
  #modulesFor(...lines: (Line | undefined)[]): string[] {
    if (!lines.some((line) => line && isDefined(line.codec))) return [];
    const { source, stages } = this.#plan;
    const threads = [Object(source.from).thread, ...stages.map(({ call }) => call), Object(this.#sink.into).thread];
    return [...new Set(threads.map((thread) => thread?.module))].filter((module) => typeof module === 'string');
  }

  get #laidSink(): Laid {
    return this.layout.laid.at(-1) as Laid;
  }

  #start(): void {
    const { source, stages } = this.#plan;
    const [laidSource, ...others] = this.layout.laid;
    const sink = others.pop() as Laid;
    this.#startSink(sink);
    for (const [at, stage] of stages.entries()) {
      const laid = others[at] as Laid;
      for (let thread = 0; thread < stage.threads; thread++) this.#startThread(laid, 'stage', stage, thread);
    }
    const { from } = source;
    const { terms } = this.layout;
    if ('thread' in from) this.#startThread(laidSource as Laid, 'source', { from: from.thread, terms }, 0);
    else if ('remote' in from) this.#joins.push(this.#supply(laidSource as Laid, from.remote));
    else this.#joins.push(this.#pump(laidSource as Laid, from.here).catch((error) => this.fail(error)));
  }

  #startSink(sink: Laid): void {
    const { into } = this.#sink;
    if ('thread' in into) this.#result = this.#startThread(sink, 'sink', { into: into.thread }, 0);
    else if ('fold' in into) {
      const stage = new Stage(sink.conduct, gaugedIn(sink.gauges, 0));
      this.#result = stage.run(into.fold.step, this.#inlet()).then(() => into.fold.result());
    } else if ('remote' in into) this.#result = this.#deliver(sink, into.remote);
    else if ('stream' in into) this.#result = this.#stream(into.stream, into.end);
    this.#result.catch(() => {}); // `end` hears of it
    void this.#result.then(
      () => 'loop' in into || this.#stop(),
      (error) => this.fail(error),
    );
  }

  #inlet(): Inlet {
    const { input, conduct } = this.#laidSink;
    const inlet = new Inlet(input as NonNullable<Laid['input']>, conduct.views);
    inlet.patient = true;
    return inlet;
  }

  #startThread(
    { node, gauges, conduct, input, output }: Laid,
    job: 'stage' | 'source' | 'sink',
    more: object,
    at: number,
  ): Promise<unknown> {
    const gauged = gaugedIn(gauges, at);
    const { gauge } = gauged;
    const place = {
      gauged,
      conduct,
      input,
      output,
      modules: this.#modulesFor(input, output?.line),
      ...pick(more),
    };
    const thread = startThread(this.#plan.region, node.name, job, place);
    const failed = (error: unknown): void => {
      const died = error instanceof ThreadDiedError;
      if (died && this.#halt.signal.aborted) return; // it was terminated, or ended itself when it was stopped
      const known = error instanceof StageError;
      this.fail(known ? error : new StageError(node.name, gauge[RECORD] as number, error));
    };
    this.#threads.push(thread);
    const join = thread.join();
    this.#joins.push(join.catch(failed));
    if (conduct.timed) this.#watch(thread, gauge, node.name, node.timeout);
    const outcome = join.catch(() => Promise.reject(STOPPED)); // what it was, `failed` has noted
    outcome.catch(() => {}); // only that of a sink is awaited
    return outcome;
  }

  /** Fails when a record is longer in work than it may be; looks at the earliest time at which that can be. */
  #watch(thread: Thread, gauge: Float64Array, name: string, timeout: number): void {
    let timer: NodeJS.Timeout;
    const look = (): void => {
      this.#timers.delete(timer);
      const since = gauge[SINCE] as number;
      const left = since === 0 ? timeout : timeout - (now() - since);
      if (left <= 0) {
        this.fail(new StageError(name, gauge[RECORD] as number, new TimeoutError('a record', timeout)));
        void thread.terminate();
      } else if (thread.alive) arm(left);
    };
    const arm = (left: number): void => {
      timer = setTimeout(look, Math.min(Math.ceil(left), LONGEST_TIMER));
      this.#timers.add(timer);
    };
    arm(timeout);
  }

  #pump(laid: Laid, from: Iterable<unknown> | AsyncIterable<unknown>): Promise<void> {
    return this.#source(laid, async (outlet) => {
      if (isAsyncIterable(from)) await pumpAsync(from, outlet, this.#halt.signal);
      else await pump(from, outlet, new Share());
      await outlet.finish();
    });
  }

  /** Ends when all that came of the queue was accepted, or what was not is given back. */
  async #supply(laid: Laid, from: AsyncQueue): Promise<void> {
    const { reports, terms } = this.layout;
    const ledger = new Ledger(reports as Queue<Report>); // of a source that is a queue there are both
    const settled = ledger.settle();
    await this.#source(laid, (outlet) => supply(from, terms as Terms, ledger, outlet, this.#halt.signal)).catch(
      (error) => this.fail(error),
    );
    await settled;
  }

  async #source({ node, gauges, output }: Laid, give: (outlet: Outlet) => Promise<void>): Promise<void> {
    const { gauge } = gaugedIn(gauges, 0);
    const outlet = outletOf(output as NonNullable<Laid['output']>, gauge, (waited) => add(gauge, WAITED, waited));
    outlet.patient = true;
    try {
      await give(outlet);
    } catch (error) {
      throw error === STOPPED ? error : new StageError(node.name, gauge[OUT] as number, error);
    }
  }

  #deliver({ conduct, gauges, input }: Laid, into: AsyncQueue): Promise<void> {
    const gauged = gaugedIn(gauges, 0);
    const stage = new Stage(conduct, gauged);
    const fail = (error: unknown): void => this.fail(error);
    const delivery = new Delivery(into, stage, gauged.gauge, input as Line, this.#halt.signal, fail);
    return stage.run(
      stepOf('pass', () => undefined, delivery, conduct),
      this.#inlet(),
      delivery,
    );
  }

  async #stream(stream: Writable | WritableStream, end: boolean): Promise<void> {
    const { node, gauges } = this.#laidSink;
    try {
      await streamTo(this.records()[Symbol.asyncIterator](), stream as NodeJS.WritableStream, { end });
    } catch (error) {
      throw error === STOPPED ? error : new StageError(node.name, gaugedIn(gauges, 0).gauge[RECORD] as number, error);
    }
  }

  async #collect(): Promise<void> {
    for await (const failure of this.layout.failures) {
      if (this.#collected.length < KEPT) this.#collected.push(unpack(failure));
      else this.#missing++;
    }
  }

  #stop(): void {
    if (this.#halt.signal.aborted) return;
    this.layout.stopped.set();
    this.#halt.abort(STOPPED);
    for (const { queue } of this.layout.lines) queue.close();
    this.layout.reports?.close();
    this.#waking = Promise.all(this.layout.turns.map(wakeTurns));
  }

  async #close(): Promise<void> {
    this.#stop();
    this.#plan.signal?.removeEventListener('abort', this.#onAbort);
    const terminate = (): void => {
      for (const thread of this.#threads) void thread.terminate();
    };
    const timer = setTimeout(terminate, Math.min(this.#plan.grace, LONGEST_TIMER));
    await Promise.all([...this.#joins, this.#result.catch(() => {})]);
    await this.#waking;
    clearTimeout(timer);
    for (const other of this.#timers) clearTimeout(other);
    this.layout.failures.close();
    await this.#collecting;
    this.layout.free();
  }
}

/** What of a node its threads have to know. */
function pick(node: object): object {
  const { kind, call, from, into, terms } = node as Record<string, unknown>;
  return { kind, call, from, into, terms };
}
