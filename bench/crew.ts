import { once } from 'node:events';
import { isMainThread, parentPort, type Transferable, Worker, workerData } from 'node:worker_threads';
import { supervise } from '../lib/memory/region.ts'; // not the barrel: a thread starts in half the time
import type { Effort, Rival } from './scenario.ts';

/** What one thread of a crew does: `name` is exported by `module`, and called once with `data`. */
export interface Job {
  readonly module: string;
  readonly name: string;
  readonly data?: unknown;
  readonly transfer?: Transferable[];
}

/** What an exported job returns: called once a round with the number of operations. */
export type Body = (operations: number) => unknown;

/** Milliseconds on the clock that all threads share. */
type Span = [start: number, end: number];

/** A thread that has not answered by then hangs, and that is a fault to report and not to wait for. */
const ROUND_LIMIT_MS = 60_000;

/** N threads, each on a function of its own, that start every round together. */
export class Crew {
  readonly #workers: Worker[];

  private constructor(workers: Worker[]) {
    this.#workers = workers;
  }

  /** Starts one thread for each job, and returns when all of them are ready for the first round. */
  static async start(jobs: readonly Job[]): Promise<Crew> {
    const gate = new Int32Array(new SharedArrayBuffer(8));
    const workers = jobs.map(({ transfer, ...job }) => {
      const order: Order = { ...job, gate, parties: jobs.length };
      const worker = new Worker(new URL(import.meta.url), { workerData: { order }, transferList: transfer ?? [] });
      supervise(worker); // its slot of the region is free again after the scenario
      return worker;
    });
    const crew = new Crew(workers);
    await crew.#answers();
    return crew;
  }

  /** Runs one round, and returns its milliseconds, from the first thread's start to the last one's end. */
  async round(operations: number): Promise<number> {
    for (const worker of this.#workers) worker.postMessage(operations);
    const spans = (await this.#answers()) as Span[];
    return Math.max(...spans.map(([, end]) => end)) - Math.min(...spans.map(([start]) => start));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #answers(): Promise<unknown[]> {
    const signal = AbortSignal.timeout(ROUND_LIMIT_MS);
    return Promise.all(this.#workers.map(async (worker) => (await once(worker, 'message', { signal }))[0]));
  }
}

/** How a crew is turned into figures. */
export interface CrewPlan {
  readonly jobs: () => Job[];
  /** The operations of a round are a multiple of this. @default 1 */
  readonly step?: number;
  /** Operations before the first round at the least, where it is known how many a thread needs to be as fast as it will be. */
  readonly settle?: number;
  /** Operations that count for each one that `Body` was asked for. @default 1 */
  readonly factor?: number;
  readonly before?: () => void;
  readonly after?: (operations: number) => void;
  readonly remark?: () => string;
}

/** A rival that runs on a crew; its figure is millions of operations a second. */
export function onCrew(name: string, plan: CrewPlan): Rival {
  const { jobs, step = 1, settle = 0, factor = 1, before, after, remark } = plan;
  let crew: Crew | undefined;
  let operations = step;
  return {
    name,
    async start(effort) {
      crew = await Crew.start(jobs());
      operations = await calibrate(crew, step, settle, effort);
    },
    async round() {
      if (!crew) throw new Error(`${name} has not been started`);
      before?.();
      const ms = await crew.round(operations);
      after?.(operations);
      return (operations * factor) / ms / 1e3;
    },
    async stop() {
      await crew?.stop();
    },
    ...(remark && { remark }),
  };
}

/** A round that is better than all before it by this much says that the threads are still warming up. */
const BETTER = 1.05;
/** So many rounds in a row that are not say that they are warm. */
const EVEN = 3;
/** Milliseconds beyond the usual warm-up after which nobody waits for that. */
const PATIENCE = 1000;

/**
 * Warms the threads up, and finds how many operations fill a round, beside which starting together (about 0.1 ms) and one
 * lost time slice should be small. New threads get faster for some tenths of a second: V8 compiles their functions, and the
 * system gives them the pages of their heap.
 */
async function calibrate(crew: Crew, step: number, settle: number, { warmUpMs, roundMs }: Effort): Promise<number> {
  let operations = step;
  let best = 0;
  let done = 0;
  for (let spent = 0, even = 0; done < settle || spent < warmUpMs || (even < EVEN && spent < warmUpMs + PATIENCE); ) {
    const ms = await crew.round(operations);
    spent += ms;
    done += operations;
    even = operations / ms > BETTER * best ? 0 : even + 1;
    best = Math.max(best, operations / ms);
    operations = Math.ceil(Math.min(operations * 10, best * roundMs) / step) * step;
  }
  return operations;
}

interface Order extends Omit<Job, 'transfer'> {
  readonly gate: Int32Array;
  readonly parties: number;
}

/** The thread's side. Not awaited at the top level: the job's module may import this one. */
async function serve({ module, name, data, gate, parties }: Order): Promise<void> {
  const exported: Record<string, (data: unknown) => Body> = await import(module);
  const body = exported[name]?.(data);
  if (!body) throw new Error(`${module} exports no job called ${name}`);
  parentPort?.on('message', async (operations: number) => {
    assemble(gate, parties);
    const start = now();
    await body(operations);
    parentPort?.postMessage([start, now()] satisfies Span);
  });
  parentPort?.postMessage('ready');
}

/** performance.now() counts from another origin in each thread; this does not. */
const now = (): number => Number(process.hrtime.bigint()) / 1e6;

/** Returns when all parties are here. Sleeps rather than spins: there may be more threads than cores. */
function assemble(gate: Int32Array, parties: number): void {
  const round = Atomics.load(gate, 1);
  if (Atomics.add(gate, 0, 1) + 1 === parties) {
    Atomics.store(gate, 0, 0);
    Atomics.add(gate, 1, 1);
    Atomics.notify(gate, 1);
  } else {
    while (Atomics.load(gate, 1) === round) Atomics.wait(gate, 1, round);
  }
}

if (!isMainThread && workerData?.order) void serve(workerData.order);
