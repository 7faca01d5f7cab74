/**
 * Ancestors: the workers above this thread. Node ends a worker's own workers with it, and nobody hears of their end but who hears
 * of an ancestor's: so each thread says in its record whose they are.
 */
import { getEnvironmentData, isMainThread, setEnvironmentData, threadId } from 'node:worker_threads';
import { ANCESTORS, THREAD_ANCESTORS } from '../kernel/layout.ts';

const KEY = 'ringfence:ancestors'; // what is set here, a worker gets as it starts

/** Their threadIds, the nearest first, as many as a record has room for; the main thread, which never ends alone, is none. */
export const ancestors: readonly number[] = (getEnvironmentData(KEY) as number[] | undefined) ?? [];

if (!isMainThread) setEnvironmentData(KEY, [threadId, ...ancestors].slice(0, ANCESTORS));

/** The part of a thread's record that says so, by their claims. */
export function ancestorsIn(i32: Int32Array, record: number): Int32Array {
  const at = (record + THREAD_ANCESTORS) >> 2;
  return i32.subarray(at, at + ANCESTORS);
}
