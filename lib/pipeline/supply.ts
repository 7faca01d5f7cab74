/** Supply: a queue as the source of a pipeline. What it gives is acknowledged when all that came of it was accepted at the other end. */
import type { AsyncQueue, RemoteQueue } from '../bridge/faces.ts';
import { ClosedError } from '../memory/errors.ts';
import { Queue } from '../queue/queue.ts';
import { STOPPED } from './line.ts';
import type { Outlet } from './outlet.ts';
import type { Batch, Ledger } from './tickets.ts';

const LARGEST = 256; // items of one batch
const ROUNDS = 4; // batches in hand, so that some are acknowledged while others are in work

/** How much of a queue may be in a pipeline at a time. */
export interface Terms {
  /** Items that may be taken and not acknowledged. */
  readonly inHand: number;
  /** Items that are taken, and acknowledged, together. */
  readonly batch: number;
  /** Whether to look again, when the queue is drained, for what others may give back. */
  readonly again: boolean;
}

/**
 * The terms for a queue and the sizes of the groups that its records go through. Each of the records that wait in a group may hold a whole batch, so that with
 * groups batches must be small enough for the last record of a group to come. Throws RangeError if none is.
 */
export function termsOf(queue: AsyncQueue, inFlight: number, sizes: readonly number[]): Terms {
  const inHand = Math.min(inFlight, mostInHand(queue));
  const group = sizes.reduce((records, size) => records * Math.max(1, size), 1);
  if (group > inHand) {
    throw new RangeError(
      `inFlight must be at least the records of a batch, and so must the capacity of the queue: ${inHand} items may be taken and not acknowledged, and a batch is of ${group}`,
    );
  }
  const most = inHand === Number.POSITIVE_INFINITY ? LARGEST : Math.floor(inHand / Math.max(ROUNDS, group));
  return { inHand, batch: Math.max(1, Math.min(LARGEST, most)), again: group === 1 };
}

/** What is taken from a plain queue makes room in it, and is bounded by the lines of the pipeline. */
function mostInHand(queue: AsyncQueue): number {
  if (isRemote(queue)) return queue.mostInHand;
  return queue instanceof Queue && !queue.redelivers ? Number.POSITIVE_INFINITY : queue.capacity;
}

export function isAsyncQueue(value: unknown): value is AsyncQueue {
  const { putManyAsync, getManyAsync, taskDone } = Object(value) as Partial<AsyncQueue>;
  return [putManyAsync, getManyAsync, taskDone].every((verb) => typeof verb === 'function');
}

function isRemote(queue: AsyncQueue): queue is RemoteQueue {
  return typeof (queue as Partial<RemoteQueue>).takeManyAsync === 'function';
}

/** Gives what is in the queue, until it is closed and drained. Throws STOPPED. */
export async function supply(
  queue: AsyncQueue,
  terms: Terms,
  ledger: Ledger,
  outlet: Outlet,
  signal: AbortSignal,
): Promise<void> {
  const take = taker(queue);
  outlet.patient = true;
  for (;;) {
    await ledger.downTo(terms.inHand - terms.batch, signal);
    const batch = await take(terms.batch, signal);
    if (batch) {
      outlet.begin(0, ledger.open(batch));
      for (const record of batch.value) {
        const later = outlet.put(record);
        if (later) await later;
      }
      await outlet.end();
    } else if (!terms.again || ledger.isEmpty) break;
    else await ledger.downTo(0, signal); // what others hold may come back: a queue tells only those who hold nothing that it has ended
  }
  await outlet.finish();
}

/** Takes a batch, or `undefined` once the queue is closed and drained. */
type Take = (max: number, signal: AbortSignal) => Promise<Batch | undefined>;

function taker(queue: AsyncQueue): Take {
  if (isRemote(queue)) return (max, signal) => queue.takeManyAsync(max, { signal });
  const taken: { readonly count: number; done: boolean }[] = [];
  return async (max, signal) => {
    const value = await queue.getManyAsync(max, { signal }).catch(endOf);
    if (!value) return undefined;
    const mine = { count: value.length, done: false };
    taken.push(mine);
    const done = async () => {
      mine.done = true;
      // `taskDone` means those that were taken first.
      for (let first = taken[0]; first?.done; first = taken[0]) {
        taken.shift();
        await queue.taskDone(first.count);
      }
    };
    return { value, done, giveBack: () => {} }; // they come back when this thread ends, if they do
  };
}

function endOf(error: unknown): undefined {
  if (error === STOPPED || !(error instanceof ClosedError)) throw error;
  return undefined;
}
