import process from 'node:process';
import { setImmediate as turn } from 'node:timers/promises';
import { RingfenceError } from '../../lib/memory/errors.ts';
import type { Connection } from '../../lib/queue/pipe.ts';
import { ENTERED, type Gate, OPEN } from './tasks.ts';

// What the threads of pipe.spec do.

export interface Talk {
  readonly end: Connection<unknown>;
  readonly gate: Gate;
  readonly verb?:
    | 'send'
    | 'sendAsync'
    | 'recv'
    | 'recvAsync'
    | 'poll'
    | 'iterate'
    | 'iterateAsync'
    | 'fill'
    | 'fillAsync'
    | 'close';
  readonly value?: unknown;
}

/** Enters, then waits on its end; what came of it, or the code of the error. */
export async function talk({ end, gate, verb, value }: Talk): Promise<unknown> {
  Atomics.add(gate, ENTERED, 1);
  try {
    if (verb === 'send') end.send(value);
    else if (verb === 'sendAsync') await end.sendAsync(value);
    else if (verb === 'fill') for (;;) end.send(value);
    else if (verb === 'fillAsync') for (;;) await end.sendAsync(value);
    else if (verb === 'recv') return end.recv();
    else if (verb === 'recvAsync') return await end.recvAsync();
    else if (verb === 'poll') return end.poll({ timeout: 10_000 });
    else if (verb === 'iterate') return [...end];
    else if (verb === 'iterateAsync') return await collect(end);
    else end.close();
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

/** Sends back whatever comes, in every way that there is, until the end of file; how many that were. */
export async function echo({ end }: { end: Connection<unknown> }): Promise<number> {
  let count = 0;
  for (;;) {
    try {
      const item = count % 2 === 0 ? end.recv() : await end.recvAsync();
      if (count % 3 === 0) await end.sendAsync(item);
      else end.send(item);
      count++;
    } catch (error) {
      if ((error as RingfenceError).code !== 'ERR_CLOSED') throw error;
      return count;
    }
  }
}

/** Takes its end, sends `value`, and ends without closing anything when the gate is open. */
export async function leave({ end, gate, value }: Talk): Promise<void> {
  end.send(value);
  Atomics.add(gate, ENTERED, 1);
  while (Atomics.load(gate, OPEN) === 0) await turn();
}

/** As `leave`, in the middle of everything. */
export async function leaveByExit(order: Talk): Promise<void> {
  await leave(order);
  process.exit();
}

/** One of three threads that want the same end; none leaves before all have tried. */
export async function grab({ end, gate }: { end: Connection<number>; gate: Gate }, index: number): Promise<string> {
  let result = 'sent';
  try {
    end.send(index);
  } catch (error) {
    result = (error as RingfenceError).code;
  }
  Atomics.add(gate, ENTERED, 1);
  while (Atomics.load(gate, ENTERED) < 3) await turn();
  return result;
}

/** Receives on an end that is not its own. */
export function takeOver(end: Connection<unknown>): void {
  end.recv();
}
