/**
 * Races: two accesses that are both the next step of their threads and overlap, one of which writes and one of which is plain,
 * or both atomic but of different sizes.
 *
 * Source: Boehm and Adve, "Foundations of the C++ concurrency memory model" (2008): a race in the sense of happens-before
 * shows as two neighbours in some sequentially consistent run, so a search of all runs misses none.
 */
import { type Access, READY, type VirtualThread } from './thread.ts';

/** The access of shared memory that is the thread's next step. */
export function accessOf({ state, access, request }: VirtualThread): Access | undefined {
  if (state !== READY) return undefined;
  if (access.act !== 'none') return access;
  if (request?.kind !== 'touch') return undefined;
  return { act: request.value === undefined ? 'load' : 'store', atomic: false, address: request.address, size: 4 };
}

export function isRace(a: Access, b: Access): boolean {
  if (a.act === 'load' && b.act === 'load') return false;
  if (a.address + a.size <= b.address || b.address + b.size <= a.address) return false;
  return !(a.atomic && b.atomic) || a.size !== b.size;
}

export function raceOf(
  { slot }: VirtualThread,
  mine: Access,
  { slot: other }: VirtualThread,
  its: Access,
  where = `${mine.address}`,
): string {
  const [one, two] = [mine, its].map(({ act, atomic }) => `${atomic ? 'atomic' : 'plain'} ${act}`);
  return `data race on ${where}: ${one} of thread ${slot}, ${two} of thread ${other}`;
}
