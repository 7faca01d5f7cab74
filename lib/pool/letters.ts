import type { Transferable } from 'node:worker_threads';
import { attach, type Shared, share } from '../memory/handles.ts';
import { type Failure, unpack } from './failure.ts';
import { isMoved, MOVED_VALUE, transfersOf, whyNotMovable } from './message.ts';
import type { ToPool, ToThread } from './residence.ts';
import type { Batch } from './table.ts';
import type { Task } from './threads.ts';

// Payloads and results that no record carries: they go by the port of the thread.

/** The message with a payload, and what moves with it; throws for what cannot move. */
export function letterOf(number: number, task: Task): { letter: ToThread; transfers: Transferable[] } {
  const { name, payload, transferList } = task;
  const moved = isMoved(payload);
  const transfers: Transferable[] = moved ? [...transferList, ...transfersOf(payload)] : [...transferList];
  const refusal = whyNotMovable(transfers);
  if (refusal) throw refusal;
  return { letter: { letter: number, name, payload: share(moved ? payload[MOVED_VALUE] : payload) }, transfers };
}

/** What a message says became of a task. */
export function opened(
  message: Extract<ToPool, { ended: number }>,
  many = false,
): { fulfilled: boolean; value: unknown } {
  try {
    const value = 'value' in message ? attach(message.value) : undefined;
    if ('value' in message) return { fulfilled: true, value: many ? unpackedBatch(value as Batch) : value };
    return { fulfilled: false, value: unpack(attach({ failure: message.failure } as Shared<Failure>)) };
  } catch (value) {
    return { fulfilled: false, value };
  }
}

/** A batch with the errors of its items as they were thrown. */
export function unpackedBatch([values, failures]: Batch): Batch {
  return [values, failures.map(([index, failure]) => [index, unpack(attach(failure as Shared<Failure>))])];
}
