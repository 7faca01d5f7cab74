import { setImmediate as turn } from 'node:timers/promises';
import { type RingfenceError, TimeoutError } from '../../lib/memory/errors.ts';
import type { Queue } from '../../lib/queue/queue.ts';
import { type Source, select, selectAsync } from '../../lib/queue/select.ts';
import { ENTERED, type Gate } from './tasks.ts';

// What the threads of select.spec do.

export interface Choice {
  readonly sources: readonly Source[];
  readonly verb: 'select' | 'selectAsync' | 'get';
}

/** Waits; which source it was, and what came out of it. */
export async function choose({ sources, verb }: Choice): Promise<[number, unknown] | string> {
  try {
    if (verb === 'get') return [-1, (sources[0] as Queue).get()];
    const { index, value, closed } = verb === 'select' ? select(sources) : await selectAsync(sources);
    return [index, closed ? 'closed' : value];
  } catch (error) {
    return (error as RingfenceError).code;
  }
}

export interface Market {
  readonly queues: readonly Queue<number>[];
  readonly producers: number;
  readonly items: number;
  /** Counts producers that have finished. */
  readonly gate: Gate;
}

/** The first threads put into all queues, the others take in every way that there is until all queues are closed; what they took. */
export async function market({ queues, producers, items, gate }: Market, index: number): Promise<number[]> {
  if (index >= producers) return take(queues, index);
  for (let i = 0; i < items; i++) {
    const queue = queues[i % queues.length] as Queue<number>;
    if (i % 5 === 0) await queue.putAsync(index * items + i);
    else queue.put(index * items + i);
  }
  if (Atomics.add(gate, ENTERED, 1) + 1 === producers) for (const queue of queues) queue.close();
  return [];
}

async function take(queues: readonly Queue<number>[], consumer: number): Promise<number[]> {
  const taken: number[] = [];
  let open = [...queues];
  const impatient = (error: unknown) => {
    if (error instanceof TimeoutError || error === 'enough') return undefined;
    throw error;
  };
  const took = (selected: Awaited<ReturnType<typeof selectAsync<Queue<number>>>> | undefined) => {
    if (selected?.closed) open = open.filter((queue) => queue !== selected.source);
    else if (selected) taken.push(selected.value);
  };
  for (let round = consumer; open.length > 0; round++) {
    const way = round % 5;
    if (way === 0) took(select(open));
    else if (way === 1) took(await selectAsync(open));
    else if (way === 2) {
      const stop = new AbortController();
      const pending = selectAsync(open, { signal: stop.signal }).catch(impatient);
      const other = selectAsync(open);
      if (round % 2 === 0) await turn();
      stop.abort('enough');
      took(await pending);
      took(await other);
    } else if (way === 3) {
      try {
        took(select(open, { timeout: (round % 3) / 8 }));
      } catch (error) {
        impatient(error);
      }
    } else {
      const pending = selectAsync(open);
      const { value } = { value: open[0]?.closed ? undefined : open[0]?.tryGet() };
      if (value !== undefined) taken.push(value);
      took(await pending);
    }
  }
  return taken;
}

/** Each round waits for either queue by a promise, and blocks for one of them meanwhile; what came. */
export async function promiseAndBlock(
  { queues, rounds }: { queues: readonly [Queue<number>, Queue<number>]; rounds: number },
  index: number,
): Promise<number[]> {
  const taken: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const pending = selectAsync(queues);
    taken.push(queues[(index + round) % 2 === 0 ? 0 : 1].get());
    taken.push((await pending).value as number);
  }
  return taken;
}

export interface Feed {
  readonly one: Queue<number>;
  readonly two: Queue<number>;
  readonly begun: Int32Array;
  /** Of the thread that selects. */
  readonly slot: number;
}

/** Puts into both as soon as that thread waits for both. */
export async function feed({ one, two, begun, slot }: Feed): Promise<void> {
  const { kernel } = one.region;
  Atomics.store(begun, 0, 1);
  while (![one, two].every((queue) => kernel.isRegistered(queue.selectable().set, slot))) await turn();
  one.put(1);
  two.put(2);
}
