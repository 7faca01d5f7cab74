import { setImmediate as turn } from 'node:timers/promises';
import { RingfenceError } from '../../lib/memory/errors.ts';
import type { Broadcast } from '../../lib/queue/broadcast.ts';
import type { Subscription } from '../../lib/queue/subscription.ts';
import { ENTERED, type Gate, OPEN } from './tasks.ts';

// What the threads of broadcast.spec do.

export interface Programme {
  readonly broadcast: Broadcast<unknown>;
  /** Counts subscribers that are there, and publishers that have finished. */
  readonly gate: Gate;
  readonly publishers: number;
  readonly subscribers: number;
  readonly items: number;
  /** Bytes of each item. */
  readonly bytes: number;
}

export interface Seen {
  readonly numbers: number[];
  readonly missed: number;
}

/** Writes a number in front, in the middle and behind; quickly, so that most of the time goes into the copies in between. */
function mark(item: DataView, n: number): void {
  for (const at of [0, item.byteLength >> 1, item.byteLength - 4]) item.setInt32(at, n);
}

/** The number of an item; -1 when it consists of parts of several. */
function numberOf(item: unknown): number {
  const { buffer, byteOffset, byteLength } = item as Uint8Array;
  const view = new DataView(buffer, byteOffset, byteLength);
  const n = view.getInt32(0);
  return view.getInt32(byteLength >> 1) === n && view.getInt32(byteLength - 4) === n ? n : -1;
}

/** The first threads publish, the others subscribe; a subscriber gives all that it saw. */
export async function perform(programme: Programme, index: number): Promise<Seen | undefined> {
  const { broadcast, gate, publishers, subscribers } = programme;
  if (index >= publishers) {
    const subscription = broadcast.subscribe();
    Atomics.add(gate, ENTERED, 1);
    return listen(subscription, index);
  }
  while (Atomics.load(gate, ENTERED) < subscribers) await turn();
  await publish(programme, index);
  if (Atomics.add(gate, OPEN, 1) + 1 === publishers) broadcast.close();
  return undefined;
}

/** Publishes in every way that there is. */
async function publish({ broadcast, items, bytes }: Programme, publisher: number): Promise<void> {
  const item = new Uint8Array(bytes);
  const view = new DataView(item.buffer);
  for (let i = 0; i < items; i++) {
    mark(view, publisher * 100_000 + i);
    if (i % 3 === 0) await broadcast.publishAsync(item);
    else broadcast.publish(item);
  }
}

/** Takes in every way that there is. */
async function listen(subscription: Subscription<unknown>, index: number): Promise<Seen> {
  const numbers: number[] = [];
  try {
    for (let i = index; ; i++) {
      const way = i % 4;
      if (way === 0) numbers.push(numberOf(subscription.get()));
      else if (way === 1) numbers.push(numberOf(await subscription.getAsync()));
      else if (way === 2) {
        const item = subscription.tryGet();
        if (item !== undefined) numbers.push(numberOf(item));
      } else for (const _ of Array(9)) numbers.push(numberOf(subscription.get()));
    }
  } catch (error) {
    if ((error as RingfenceError).code !== 'ERR_CLOSED') throw error;
    return { numbers, missed: subscription.missed };
  }
}

/** Thread 0 publishes numbers until the others are done; each of them comes, sees some in a row, and goes, again and again. */
export async function comeAndGo(
  { broadcast, gate, rounds }: { broadcast: Broadcast<number>; gate: Gate; rounds: number },
  index: number,
): Promise<string> {
  if (index === 0) {
    for (let n = 0; Atomics.load(gate, OPEN) < 3; n++) broadcast.publish(n);
    return 'published';
  }
  for (let round = 0; round < rounds; round++) {
    const subscription = broadcast.subscribe();
    let last = -1;
    for (let i = 0; i < round % 7; i++) {
      const n = i % 2 === 0 ? subscription.get() : await subscription.getAsync();
      if (last >= 0 && n !== last + 1) return `${n} after ${last}`;
      last = n;
    }
    subscription.close();
  }
  Atomics.add(gate, OPEN, 1);
  return 'in a row';
}

export interface Hearing {
  readonly gate: Gate;
  readonly broadcast?: Broadcast<unknown>;
  readonly subscription?: Subscription<unknown>;
  readonly verb?: 'get' | 'getAsync' | 'iterate' | 'iterateAsync' | 'publish' | 'publishAsync';
}

/** Enters, then waits; what came of it, or the code of the error. */
export async function hear({ gate, broadcast, subscription, verb }: Hearing): Promise<unknown> {
  Atomics.add(gate, ENTERED, 1);
  try {
    if (verb === 'publish') broadcast?.publish('late');
    else if (verb === 'publishAsync') await broadcast?.publishAsync('late');
    else if (verb === 'get') return subscription?.get();
    else if (verb === 'getAsync') return await subscription?.getAsync();
    else if (verb === 'iterate') return [...(subscription ?? [])];
    else return await collect(subscription as Subscription<unknown>);
    return 'done';
  } catch (error) {
    if (error instanceof RingfenceError) return error.code;
    throw error;
  }
}

async function collect(items: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** Subscribes, enters, and ends without leaving when the gate is open. */
export async function forget({ broadcast, gate }: Hearing): Promise<void> {
  broadcast?.subscribe();
  Atomics.add(gate, ENTERED, 1);
  while (Atomics.load(gate, OPEN) === 0) await turn();
}

/** Subscribes for somebody else, who takes it before this thread ends. */
export async function subscribeFor({ broadcast, gate }: Hearing): Promise<Subscription<unknown> | undefined> {
  const subscription = broadcast?.subscribe();
  broadcast?.publish({ subscription });
  while (Atomics.load(gate, OPEN) === 0) await turn();
  return undefined;
}

/** Takes what it can of one subscription, together with others. */
export async function share(
  { subscription }: { subscription: Subscription<number> },
  index: number,
): Promise<number[]> {
  const all: number[] = [];
  if (index % 2 === 0) for (const n of subscription) all.push(n);
  else for await (const n of subscription) all.push(n);
  return all;
}
