import type { Queue } from '../../lib/queue/queue.ts';

// What the crews of loans.spec do.

/** Reserves, blocking, and commits. */
export function sendOne({ queue, bytes }: { queue: Queue<Uint8Array>; bytes: number }): void {
  const reservation = queue.reserve(bytes);
  reservation.bytes.fill(5);
  queue.commit(reservation);
}

export interface Traffic {
  readonly queue: Queue<Uint8Array>;
  readonly producers: number;
  readonly items: number;
}

/** A message whose bytes all say whose it is, of a length that changes. */
const lengthOf = (index: number, item: number): number => 2 + ((item * 131 + index) % 700);

function* sends(index: number, items: number): Generator<{ bytes: number; fill(view: Uint8Array): void }> {
  for (let item = 0; item < items; item++) {
    yield {
      bytes: lengthOf(index, item),
      fill: (view) => {
        view.fill(index);
        view[0] = item;
      },
    };
  }
}

/** Producers reserve and commit, every second one by promises; the others receive until the queue has ended: what they saw. */
export async function exchange({ queue, producers, items }: Traffic, index: number): Promise<number[]> {
  if (index >= producers) return index % 2 === 0 ? receiveAll(queue) : await receiveAllAsync(queue);
  for (const { bytes, fill } of sends(index, items)) {
    const reservation = index % 2 === 0 ? queue.reserve(bytes) : await queue.reserveAsync(bytes);
    fill(reservation.bytes);
    if (index % 2 === 0) queue.commit(reservation);
    else await queue.commitAsync(reservation);
  }
  queue.put(new Uint8Array(1)); // one pill for each producer
  return [];
}

/** The producer and the count of a message that is whole; -1 for a pill. */
function seen(bytes: Uint8Array): number {
  if (bytes.length === 1) return -1;
  const [item = -1, producer = -1] = bytes;
  if (bytes.subarray(1).some((byte) => byte !== producer)) throw new Error('it is not whole');
  return producer * 256 + item;
}

function receiveAll(queue: Queue<Uint8Array>): number[] {
  const all: number[] = [];
  for (;;) {
    const message = queue.receive();
    const what = seen(message.bytes);
    message.release();
    if (what < 0) return all;
    all.push(what);
  }
}

async function receiveAllAsync(queue: Queue<Uint8Array>): Promise<number[]> {
  const all: number[] = [];
  for (;;) {
    const message = await queue.receiveAsync();
    const what = seen(message.bytes);
    queue.release(message);
    if (what < 0) return all;
    all.push(what);
  }
}
