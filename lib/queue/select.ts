/**
 * Select: waits for several sources at once, and takes from the one that is ready.
 *
 * Source: Go's select statement; multiprocessing.connection.wait of Python.
 *
 * Select  1. try each source once, from one that changes with each call  2. if none is ready, register in the wait set of each
 *         3. try each again, then sleep  4. leave every set, and pass on the wakes for what was not taken: see ../memory/wait.ts
 *
 * Invariant: an attempt takes from one source at the most, and stops there.
 */
import { show } from '../memory/errors.ts';
import { SharedObject } from '../memory/handles.ts';
import type { Kernel } from '../memory/kernel.ts';
import type { Region } from '../memory/region.ts';
import { OVER, type Selectable } from '../memory/selectable.ts';
import {
  AGAIN,
  type AsyncWaitOptions,
  type Awaited,
  type Operation,
  requireWaitOptions,
  spin,
  type WaitOptions,
} from '../memory/wait.ts';
import type { Event } from '../sync/event.ts';
import type { Connection } from './pipe.ts';
import type { Queue } from './queue.ts';
import type { Subscription } from './subscription.ts';

/** What `select` can wait for. */
export type Source = Queue | Connection | Subscription | Event;

/** What comes out of a source; of an event nothing, it is ready once it was set. */
type ValueOf<S> = S extends Queue<infer T> | Connection<infer T> | Subscription<infer T> ? T : undefined;

/** Which source was ready, by its place in the list, and what was taken from it; or that it is closed and drained. */
export type Selected<S extends Source = Source> = S extends Source
  ?
      | { readonly index: number; readonly source: S; readonly value: ValueOf<S>; readonly closed?: undefined }
      | { readonly index: number; readonly source: S; readonly value?: undefined; readonly closed: true }
  : never;

/**
 * Takes from the first source that has something; blocks while none has. Nothing is taken from the others. When several are
 * ready each gets its turn. A source that is closed and drained is ready, too: the result then says `closed: true`, and the
 * caller drops it from the next list. Of several threads that select on the same sources one gets each item.
 *
 * All sources live in one region. Throws TimeoutError after `timeout` milliseconds, TypeError for an empty list or what is no
 * source, and what taking from the source throws: NotOwnerError, InvalidHandleError, CodecError.
 *
 * @example
 * const orders = new Queue<string>({ capacity: 10 });
 * const returns = new Queue<number>({ capacity: 10 });
 * orders.put('tea');
 * const { source, value } = select([orders, returns], { timeout: 1000 }); // 'tea' of orders
 */
export function select<S extends Source>(sources: readonly S[], options?: WaitOptions): Selected<S> {
  const timeout = requireWaitOptions(options);
  const { region, operation } = selection(sources);
  const { attempt } = operation;
  let selected = attempt();
  if (selected === AGAIN) selected = spin(attempt);
  return selected === AGAIN ? region.parker.block(operation, timeout) : selected;
}

/** As `select`, without blocking the event loop. Rejects as `select` throws, or with `signal.reason`. */
export async function selectAsync<S extends Source>(
  sources: readonly S[],
  options?: AsyncWaitOptions,
): Promise<Selected<S>> {
  const { region, operation } = selection(sources);
  return region.parker.wait(operation, options);
}

/** Where the next selection begins, so that no source is always behind the others. */
let turn = 0;

function selection<S extends Source>(sources: readonly S[]): { region: Region; operation: Operation<Selected<S>> } {
  const region = regionOf(sources);
  const selectables = sources.map((source) => source.selectable() as Selectable<unknown>);
  const [first, ...others] = awaited(selectables, region.kernel) as [Awaited, ...Awaited[]];
  const start = turn++ % sources.length;
  const attempt = (): Selected<S> | typeof AGAIN => {
    for (let tried = 0; tried < sources.length; tried++) {
      const index = (start + tried) % sources.length;
      const value = (selectables[index] as Selectable<unknown>).take();
      if (value !== AGAIN) return selected(index, sources[index] as S, value);
    }
    return AGAIN;
  };
  return { region, operation: { ...first, others, what: `select of ${sources.length} sources`, attempt } };
}

function selected<S extends Source>(index: number, source: S, value: unknown): Selected<S> {
  return (value === OVER ? { index, source, closed: true } : { index, source, value }) as unknown as Selected<S>;
}

/** The wait sets of the sources, each once. */
function awaited(selectables: readonly Selectable<unknown>[], kernel: Kernel): Awaited[] {
  const sets = new Map<number, Awaited>();
  for (const { object, set, ready } of selectables) {
    sets.set(set, { object, set, passOn: () => kernel.waiting(set) !== 0 && ready() });
  }
  return [...sets.values()];
}

function regionOf(sources: readonly Source[]): Region {
  if (!Array.isArray(sources) || sources.length === 0) {
    throw new TypeError(`sources must be a list of at least one: got ${show(sources)}`);
  }
  const region: Region = sources[0]?.region;
  for (const [index, source] of sources.entries()) {
    if (!(source instanceof SharedObject) || !('selectable' in source)) {
      throw new TypeError(
        `sources[${index}] must be a Queue, a Connection, a Subscription or an Event: got ${show(source)}`,
      );
    }
    if (source.region !== region) throw new TypeError(`sources[${index}] must live in the region of sources[0]`);
  }
  return region;
}
