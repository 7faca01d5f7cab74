import { codec, Queue, Region, share } from '../lib/index.ts';
import { Crew } from './crew.ts';
import { inFresh } from './fresh.ts';
import { type Rival, reference, type Scenario, slow } from './scenario.ts';

const MIB = 2 ** 20;
const CAPACITY = 1024;
const jobs = new URL('./memory.jobs.js', import.meta.url).href;

const inChild = (name: string, subject: string): Rival => inFresh(name, jobs, subject);

const common = { better: 'less', threads: 1, rounds: 7 } as const;

const atRest: Scenario = {
  ...common,
  name: 'memory at rest: a region costs what was touched and not what was reserved',
  how: 'by how much resident memory rises, in a fresh process each; V8 has started its WebAssembly engine, a row of its own',
  unit: 'KiB',
  compare: false,
  rivals: [
    inChild('a region of 64 MiB with a queue of 1,024 slots', 'region'),
    slow(inChild('the WebAssembly engine of V8, once a process', 'engine')),
    inChild('nothing: the noise of this measurement', 'nothing'),
    slow(inChild('64 MiB that were filled: what real use shows', 'filled')),
  ],
};

const ofQueue: Scenario = {
  ...common,
  name: 'memory of an idle queue: its slots, and no block that was not used',
  how: 'by how much resident memory rises for each of 200 queues of 1,024 slots through which nothing went, in a fresh process',
  unit: 'KiB a queue',
  compare: true,
  slow: true,
  rivals: [
    inChild('ringfence Queue of i32', 'queues of i32'),
    inChild('ringfence Queue of objects', 'queues of objects'),
    inChild('ringfence Queue of structs', 'queues of structs'),
    inChild('MessageChannel, which has no bound', 'channels'),
    inChild('ringbuf.js, of i32', 'ringbufs'),
  ],
};

const ofMessage: Scenario = {
  ...common,
  name: 'memory of a message: a block, or a slot, and nothing in the heap',
  how: 'by how much resident memory rises for each of 20,000 objects of six fields that were sent and not taken, in a fresh process',
  unit: 'bytes a message',
  compare: true,
  slow: true,
  rivals: [
    inChild('ringfence Queue', 'messages of the default codec'),
    inChild('ringfence Queue of structs', 'messages of structs'),
    inChild('postMessage', 'posted messages'),
    reference(inChild('not sent: objects in an array', 'objects in an array')),
  ],
};

const ofThread: Scenario = {
  ...common,
  name: 'memory of a thread: what Node needs for it, and the library in it',
  how: 'by how much resident memory rises for each of the two threads of a pool that have had tasks, in a fresh process',
  unit: 'KiB a thread',
  compare: true,
  slow: true,
  rivals: ['ringfence Pool', 'piscina', 'tinypool', 'workerpool', 'poolifier', 'threads'].map((name) =>
    inChild(name, name),
  ),
};
const PART = 100_000;

/** A rival whose figure is by how many bytes `region.used` differs after ten million messages (300,000, if quick) between two threads. */
function used(name: string, producer: string, consumer: string, make: (region: Region) => unknown): Rival {
  const module = new URL('./queues.jobs.js', import.meta.url).href;
  let region: Region;
  let crew: Crew | undefined;
  let parts = 0;
  return {
    name,
    async start({ quick }) {
      parts = quick ? 3 : 100;
      region = new Region({ bytes: 64 * MIB });
      const data = share(make(region));
      crew = await Crew.start([producer, consumer].map((job) => ({ module, name: job, data })));
    },
    async round() {
      const before = region.used;
      for (let part = 0; part < parts; part++) await crew?.round(PART);
      return region.used - before;
    },
    async stop() {
      await crew?.stop();
    },
  };
}

const afterUse: Scenario = {
  name: 'memory after use: ten million messages leave region.used where it was',
  how: 'one producer thread, one consumer thread, ten million messages (300,000, if quick); region.used at the end less region.used at the start',
  unit: 'bytes',
  better: 'less',
  threads: 2,
  rounds: 1,
  compare: false,
  rivals: [
    used(
      'ringfence Queue of i32',
      'put',
      'get',
      (region) => new Queue({ capacity: CAPACITY, codec: codec.i32, region }),
    ),
    used(
      'ringfence Queue of objects',
      'putObjects',
      'getObjects',
      (region) => new Queue({ capacity: CAPACITY, region }),
    ),
  ],
};

/** The scenarios of memory. */
export const memory: readonly Scenario[] = [atRest, ofQueue, ofMessage, ofThread, afterUse];
