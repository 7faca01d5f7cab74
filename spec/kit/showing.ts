import { ClosedError } from '../../lib/memory/errors.ts';
import type { Queue } from '../../lib/queue/queue.ts';

// What the crew of sheets.spec does.

export interface Parade {
  readonly queue: Queue<Uint8Array>;
  readonly producers: number;
  readonly items: number;
  /** How many producers are through. */
  readonly through: Int32Array;
}

/** A message that says whose it is and the how many-th, of a length that changes, some longer than a block. */
export function messageOf(producer: number, item: number): Uint8Array {
  const message = new Uint8Array(2 + ((item * 31 + producer) % 150)).fill(producer);
  message[0] = item;
  return message;
}

/** The producer and the count of a message that is whole; throws otherwise. */
export function numberOf(message: Uint8Array): number {
  const [item = -1, producer = -1] = message;
  const whole = message.subarray(1).every((byte) => byte === producer);
  if (!whole || message.length !== messageOf(producer, item).length) throw new Error(`it is not whole: ${message}`);
  return producer * 256 + item;
}

/** Producers put, one by one, by loans and many at a time; the others consume in every way until the queue has ended: what they saw. */
export async function parade({ queue, producers, items, through }: Parade, index: number): Promise<number[]> {
  if (index >= producers) return watch(queue, index);
  for (let item = 0; item < items; item++) {
    const message = messageOf(index, item);
    const way = (item + index) % 4;
    if (way === 0) queue.put(message);
    else if (way === 1) await queue.putAsync(message);
    else if (way === 2) queue.putMany([message, ...(++item < items ? [messageOf(index, item)] : [])]);
    else {
      const reservation = queue.reserve(message.length + 100);
      reservation.bytes.set(message);
      queue.commit(reservation, { length: message.length });
    }
  }
  if (Atomics.add(through, 0, 1) + 1 === producers) queue.close();
  return [];
}

async function watch(queue: Queue<Uint8Array>, consumer: number): Promise<number[]> {
  const seen: number[] = [];
  const see = (message: Uint8Array): void => {
    seen.push(numberOf(message));
  };
  try {
    for (let i = consumer; ; i++) {
      const way = i % 6;
      if (way === 0) queue.consume(see);
      else if (way === 1) queue.tryConsume(see);
      else if (way === 2) await queue.consumeAsync(see);
      else if (way === 3) queue.consumeMany(3, see);
      else if (way === 4) await queue.consumeManyAsync(3, see);
      else see(queue.get());
    }
  } catch (error) {
    if (!(error instanceof ClosedError)) throw error;
    return seen;
  }
}
