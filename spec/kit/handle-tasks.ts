import type { Region } from '../../lib/memory/region.ts';
import { Queue } from '../../lib/queue/queue.ts';
import { Mutex } from '../../lib/sync/mutex.ts';

// What a crew makes of the shared objects that it is given.

export interface Parcel {
  region: Region;
  mutex: Mutex;
  list: [Mutex, { queue: Queue<unknown> }];
  map: Map<unknown, unknown>;
  set: Set<unknown>;
  self?: Parcel;
}

/** What arrived, in words; and the mutex that was locked on arrival is unlocked. */
export function describe(parcel: Parcel): string[] {
  const { region, mutex, list, map, set, self } = parcel;
  const words: [string, boolean][] = [
    ['the region is the mutex’s', region === mutex.region],
    ['the mutex is a live Mutex', mutex instanceof Mutex && mutex.name === 'm' && mutex.locked],
    ['it is the same wherever it was the same', list[0] === mutex && map.get('mutex') === mutex && set.has(mutex)],
    ['a key of a Map is live', map.get(mutex) === list],
    ['a deep queue is live', list[1].queue instanceof Queue && list[1].queue.get() === 'hello'],
    ['a cycle is closed', self === parcel && map.get('parcel') === parcel],
    ['plain values are there', map.get('plain') instanceof Date],
  ];
  list[1].queue.put({ back: mutex, region });
  return words.filter(([, holds]) => !holds).map(([word]) => word);
}

/** Gives back what it was given, and something of its own. */
export function giveBack<T>({ given }: { given: T }): { given: T; made: Mutex } {
  return { given, made: new Mutex({ name: 'made there' }) };
}
