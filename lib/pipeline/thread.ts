// What runs in the threads of a pipeline: pool/worker.ts calls these as the functions of any other module.
import { StageError, show, TaskError } from '../memory/errors.ts';
import { Queue } from '../queue/queue.ts';
import { add, BUSY, type Gauge, type Gauged, OUT, RECORD, WAITED } from './gauge.ts';
import { Inlet } from './inlet.ts';
import { type Line, type Report, STOPPED, stopSignal } from './line.ts';
import type { Outlet } from './outlet.ts';
import { type Output, outletOf } from './output.ts';
import { pump, pumpAsync } from './pump.ts';
import { Records } from './records.ts';
import { type Conduct, Stage } from './stage.ts';
import { type Callable, folding, isAsyncIterable, isIterable, type StepKind, stepOf, visiting } from './steps.ts';
import { supply, type Terms } from './supply.ts';
import { Ledger } from './tickets.ts';

/** The address of this file, whatever its extension. */
export const entry: string = import.meta.url;

/** A function that a module exports. */
export interface Exported {
  /** URL of the module. */
  readonly module: string;
  readonly name: string;
}

/** One thread of a pipeline. */
interface Place {
  /** What it has to load although it runs no function of it: modules that may define codecs. */
  readonly modules: readonly string[];
  readonly gauged: Gauged;
  readonly conduct: Conduct;
}

export interface StagePlace extends Place {
  readonly kind: StepKind;
  /** Absent for `pass` only. */
  readonly call: Exported | undefined;
  readonly input: Line;
  readonly output: Output;
}

export interface SourcePlace extends Place {
  readonly from: (Exported & { readonly args: readonly unknown[] }) | Queue;
  /** For a queue. */
  readonly terms: Terms | undefined;
  readonly output: Output;
}

export interface SinkPlace extends Place {
  readonly input: Line;
  readonly into: ({ readonly kind: 'forEach' | 'reduce' | 'to'; readonly initial: unknown } & Exported) | Queue;
}

/** A thread between two lines. */
export function stage(place: StagePlace): Promise<void> {
  return untilStopped(async () => {
    const { kind, call, input, output, gauged, conduct } = place;
    const { gauge } = gauged;
    const work = new Stage(conduct, gauged);
    const [fn, inlet, outlet] = await naming(conduct, gauge, async () => {
      const fn = await loaded(call, place); // before the codecs, which it may define
      return [fn, new Inlet(input, conduct.views), outletOf(output, gauge, work.waited)];
    });
    await work.run(stepOf(kind, fn, outlet, conduct), inlet, outlet);
  });
}

/** The thread that makes the records. */
export function source(place: SourcePlace): Promise<void> {
  return untilStopped(async () => {
    const { from, output, gauged, conduct } = place;
    const { gauge } = gauged;
    const begin = performance.now();
    const ended = () => add(gauge, BUSY, performance.now() - begin - (gauge[WAITED] as number));
    await naming(conduct, gauge, async () => {
      const fn = await loaded(from instanceof Queue ? undefined : from, place); // before the codec, which it may define
      const outlet = outletOf(output, gauge, (waited) => add(gauge, WAITED, waited));
      if (from instanceof Queue) await drain(from, place, outlet, ended);
      else await make(() => fn(...from.args), place, outlet, ended);
    });
  });
}

type Ended = () => void;

async function make(call: Callable, { output }: SourcePlace, outlet: Outlet, ended: Ended): Promise<void> {
  const made = await call();
  if (isIterable(made)) await pump(made, outlet);
  else if (isAsyncIterable(made)) await pumpAsync(made, outlet, stopSignal(output.line));
  else throw new TypeError(`a source must return an iterable or an async iterable: got ${show(made)}`);
  await outlet.finish();
  ended();
}

/** Ends when all that came of the queue was accepted. What it had taken and not acknowledged comes back when this thread ends. */
async function drain(from: Queue, { output, terms }: SourcePlace, outlet: Outlet, ended: Ended): Promise<void> {
  const { line } = output;
  const ledger = new Ledger(line.reports as Queue<Report>); // of a source that is a queue there are both
  const settled = ledger.settle();
  try {
    await supply(from, terms as Terms, ledger, outlet, stopSignal(line));
  } catch (error) {
    if (error !== STOPPED) throw error;
  }
  ended();
  await settled;
}

/** The thread that takes the records; gives what its function gives. */
export function sink(place: SinkPlace): Promise<unknown> {
  return untilStopped(async () => {
    const { into, input, gauged, conduct } = place;
    const { gauge } = gauged;
    const [fn, inlet] = await naming(conduct, gauge, async () => {
      const fn = await loaded(into instanceof Queue ? undefined : into, place);
      return [fn, new Inlet(input, conduct.views)];
    });
    if (into instanceof Queue) {
      const signal = stopSignal(input);
      const put = (record: unknown) => (into.tryPut(record) ? undefined : into.putAsync(record, { signal }));
      return new Stage(conduct, gauged).run(put, inlet);
    }
    if (into.kind === 'to') return naming(conduct, gauge, async () => fn(new Records(inlet, gauged)));
    const fold = into.kind === 'reduce' ? folding(fn, into.initial) : visiting(fn);
    await new Stage(conduct, gauged).run(fold.step, inlet);
    return fold.result();
  });
}

/** A thread of a stopped pipeline ends, and that is all. */
async function untilStopped<R>(work: () => Promise<R>): Promise<R | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error === STOPPED) return undefined;
    throw error;
  }
}

/** Names the stage and the record at which something failed that has the records in its own hands. */
async function naming<R>({ name }: Conduct, gauge: Gauge, work: () => Promise<R>): Promise<R> {
  try {
    return await work();
  } catch (error) {
    if (error === STOPPED || error instanceof StageError) throw error;
    throw new StageError(name, gauge[RECORD] || (gauge[OUT] as number), error);
  }
}

async function loaded(call: Exported | undefined, { modules }: Place): Promise<Callable> {
  if (call) return load(call);
  for (const module of modules) await importOf(module);
  return () => undefined;
}

/** An export, or a property of the default export: how CommonJS modules look from here. */
async function load({ module, name }: Exported): Promise<Callable> {
  const exports = await importOf(module);
  const found = [exports, exports.default].map((from) => from?.[name]).find((one) => typeof one === 'function');
  const names = Object.keys(exports).join(', ') || 'nothing';
  if (!found) throw new TaskError(`${module} has no function ${show(name)}: it exports ${names}`);
  return found as Callable;
}

function importOf(module: string): Promise<Record<string, unknown> & { default?: Record<string, unknown> }> {
  return import(module).catch((cause) => {
    throw new TaskError(`cannot load the module ${module}: ${cause}`, { cause });
  });
}
