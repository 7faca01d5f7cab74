import { MessageChannel } from 'node:worker_threads';
import { codec, Queue, share } from '../lib/index.ts';
import { AtomicsRing } from './atomics.ts';
import { type Job, onCrew } from './crew.ts';
import { LockedQueue } from './locked.ts';
import { type City, MANY } from './queues.jobs.ts';
import type { Scenario } from './scenario.ts';

/** Slots of every ring. */
const CAPACITY = 1024;

const module = new URL('./queues.jobs.js', import.meta.url).href;

/** One producer thread and one consumer thread on the same `data`. */
const pair = (producer: string, consumer: string, data: unknown): Job[] => [
  { module, name: producer, data },
  { module, name: consumer, data },
];

/** One producer thread and one consumer thread, each with one end of a MessageChannel. */
function channel(producer: string, consumer: string): Job[] {
  const { port1, port2 } = new MessageChannel();
  return [
    { module, name: producer, data: port1, transfer: [port1] },
    { module, name: consumer, data: port2, transfer: [port2] },
  ];
}

const numbers = () => share(new Queue({ capacity: CAPACITY, codec: codec.i32 }));

/** What every scenario here has in common. */
const oneToOne = { better: 'more', threads: 2, rounds: 11, compare: true } as const;

const oneAtATime: Scenario = {
  ...oneToOne,
  name: 'queue of i32, one at a time: the ring in the kernel beats the same ring on JS Atomics, a lock and postMessage',
  how:
    'one producer thread puts, one consumer thread gets and checks each item; 1,024 slots; ' +
    'a full or empty ring is tried a bounded number of times, then slept on',
  unit: 'M items/s',
  rivals: [
    onCrew('ringfence Queue', { jobs: () => pair('put', 'get', numbers()) }),
    onCrew('ring on JS Atomics', { jobs: () => pair('atomicsPut', 'atomicsGet', AtomicsRing.words(CAPACITY)) }),
    onCrew('ring on JS Atomics that never sleeps', {
      jobs: () => pair('spinningPut', 'spinningGet', AtomicsRing.words(CAPACITY)),
    }),
    onCrew('queue under a ringfence Mutex', {
      jobs: () => pair('lockedPut', 'lockedGet', LockedQueue.parts(CAPACITY)),
    }),
    onCrew('postMessage', { jobs: () => channel('post', 'receive') }),
    onCrew('postMessage, receiveMessageOnPort in a loop', { jobs: () => channel('post', 'receiveInLoop') }),
  ],
};

const batches: Scenario = {
  ...oneToOne,
  name: 'queue of i32, 256 at a time: a batch costs little more than one item',
  how: 'one producer thread fills and sends batches of 256, one consumer thread takes up to 256 and checks each item',
  unit: 'M items/s',
  rivals: [
    onCrew('ringfence putMany, getMany', { jobs: () => pair('putMany', 'getMany', numbers()), step: MANY }),
    onCrew('postMessage of an Int32Array', { jobs: () => channel('postMany', 'receiveMany'), step: MANY }),
  ],
};

const objects: Scenario = {
  ...oneToOne,
  name: 'queue of objects: encoding into shared blocks beats structured clone',
  how: 'one producer thread makes and sends objects of six fields, one consumer thread takes them; the default codec',
  unit: 'M objects/s',
  rivals: [
    onCrew('ringfence Queue', {
      jobs: () => pair('putObjects', 'getObjects', share(new Queue<City>({ capacity: CAPACITY }))),
    }),
    onCrew('postMessage', { jobs: () => channel('postObjects', 'receiveObjects') }),
  ],
};

/** The scenarios of queues. */
export const queues: readonly Scenario[] = [oneAtATime, batches, objects];
