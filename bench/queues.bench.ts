import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { codec, Queue, share } from '../lib/index.ts';
import { AtomicsRing } from './atomics.ts';
import { type Job, onCrew } from './crew.ts';
import { LockedQueue } from './locked.ts';
import { native, python } from './native.ts';
import { type City, city, MANY } from './queues.jobs.ts';
import { channel as multithreadingChannel } from './rivals/multithreading.ts';
import { bytes as ringbufBytes, numbers as ringbufNumbers } from './rivals/ringbuf.ts';
import { type Rival, type Scenario, slow } from './scenario.ts';

/** Slots of every ring. */
export const CAPACITY = 1024;

export const module: string = new URL('./queues.jobs.js', import.meta.url).href;

/** One producer thread and one consumer thread on the same `data`. */
export const pair = (producer: string, consumer: string, data: unknown): Job[] => [
  { module, name: producer, data },
  { module, name: consumer, data },
];

/** One producer thread and one consumer thread, each with one end of a MessageChannel. */
export function channel(producer: string, consumer: string, more?: object): Job[] {
  const { port1, port2 } = new MessageChannel();
  const data = (port: MessagePort) => (more ? { port, ...more } : port);
  return [
    { module, name: producer, data: data(port1), transfer: [port1] },
    { module, name: consumer, data: data(port2), transfer: [port2] },
  ];
}

/** One producer thread and one consumer thread on a ring of ringbuf.js. */
export const ringbuf = (producer: string, consumer: string, data: unknown): Job[] =>
  pair(producer, consumer, data).map((job) => ({ ...job, module: new URL('./rivals/ringbuf.js', module).href }));

const numbers = () => share(new Queue({ capacity: CAPACITY, codec: codec.i32 }));

/** What every scenario here has in common. */
const oneToOne = { better: 'more', threads: 2, rounds: 11, compare: true } as const;

const lines = (x: number) => ({ curve: 'queue of i32', axis: 'producers and as many consumers', x });

const oneAtATime: Scenario = {
  ...oneToOne,
  scaling: lines(1),
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
    onCrew('ringbuf.js, which never sleeps', { jobs: () => ringbuf('push', 'pop', ringbufNumbers(CAPACITY)) }),
    multithreadingChannel('multithreading channel', CAPACITY),
    native('Vyukov ring, C++', ({ roundMs }) => ['ring', '1', '1', `${roundMs}`]),
    python('multiprocessing.Queue, Python', ({ roundMs }) => ['queue', `${roundMs}`]),
  ],
};

const byRingbuf = (many: number): Rival =>
  onCrew(`ringbuf.js, ${many} at a time`, {
    jobs: () => ringbuf('pushMany', 'popMany', { memory: ringbufNumbers(CAPACITY), many }),
    step: MANY,
  });

const batches: Scenario = {
  ...oneToOne,
  name: 'queue of i32, 256 at a time: a batch costs little more than one item',
  how:
    'one producer thread fills and sends batches of 256, one consumer thread takes up to 256 and checks each item; ' +
    'getManyInto and ringbuf.js write them into an array that is there, getMany into a new one',
  unit: 'M items/s',
  rivals: [
    onCrew('ringfence putMany, getMany', { jobs: () => pair('putMany', 'getMany', numbers()), step: MANY }),
    onCrew('ringfence putMany, getManyInto', { jobs: () => pair('putMany', 'getManyInto', numbers()), step: MANY }),
    onCrew('postMessage of an Int32Array', { jobs: () => channel('postMany', 'receiveMany'), step: MANY }),
    byRingbuf(MANY),
    slow(byRingbuf(MANY / 2)),
  ],
};

const JSON_BYTES = 128; // of an object and its length, so that a ring of them holds as many

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
    onCrew('postMessage, receiveMessageOnPort in a loop', {
      jobs: () => channel('postObjects', 'receiveObjectsInLoop'),
    }),
    onCrew('JSON through ringbuf.js, which never sleeps', {
      jobs: () => ringbuf('pushJson', 'popJson', ringbufBytes(CAPACITY * JSON_BYTES)),
    }),
    multithreadingChannel('multithreading channel', CAPACITY, city(0)),
    python('multiprocessing.Queue of dicts, Python', ({ roundMs }) => ['objects', `${roundMs}`]),
  ],
};

/** `threads` producers and as many consumers; each item says whose it is, so that every consumer can check the order. */
function many(threads: number): Scenario {
  const crew = (producer: string, consumer: string, shared: unknown): Job[] =>
    Array.from({ length: threads }, (_, id) => pair(producer, consumer, { shared, id })).flat();
  const rival = (name: string, kind: string, make: () => unknown) =>
    onCrew(name, { jobs: () => crew(`put${kind}`, `get${kind}`, make()), factor: threads });
  return {
    name: `queue of i32, ${threads} + ${threads} threads: the ring goes on where its ends are shared`,
    how: `${threads} producer threads, ${threads} consumer threads, one queue of 1,024 slots; each producer's items are in order`,
    unit: 'M items/s',
    better: 'more',
    threads: 2 * threads,
    rounds: 7,
    compare: true,
    slow: true,
    scaling: lines(threads),
    rivals: [
      rival('ringfence Queue', 'OfMany', numbers),
      rival('ring on JS Atomics', 'OfManyOnAtomics', () => AtomicsRing.words(CAPACITY)),
      rival('queue under a ringfence Mutex', 'OfManyLocked', () => LockedQueue.parts(CAPACITY)),
      native('Vyukov ring, C++', ({ roundMs }) => ['ring', `${threads}`, `${threads}`, `${roundMs}`]),
    ],
  };
}

/** The scenarios of queues. */
export const queues: readonly Scenario[] = [oneAtATime, many(2), many(4), batches, objects];
