import type { MessagePort } from 'node:worker_threads';
import type { Shared } from '../memory/handles.ts';
import type { Failure } from './failure.ts';
import type { TableParts } from './table.ts';

// What a pool and a thread that takes its tasks say to each other, beside what goes through the rings.

/** What a thread is told when it becomes a resident. */
export interface Residence {
  readonly table: TableParts;
  /** Which line of the table is its own. */
  readonly place: number;
  /** How many tasks it runs at the same time. */
  readonly places: number;
  /** Whether it notes when each task began and ended. */
  readonly timed: boolean;
  readonly port: MessagePort;
}

/** What the pool says to a thread. */
export type ToThread =
  | { readonly letter: number; readonly name: string; readonly payload: Shared<unknown> }
  | { readonly unsent: number }
  | { readonly abort: number; readonly failure: Failure['failure'] }
  | { readonly retire: true };

/** What a thread says to the pool. */
export type ToPool =
  | { readonly fetch: number }
  | { readonly ended: number; readonly value: Shared<unknown> }
  | { readonly ended: number; readonly failure: Failure['failure'] };
