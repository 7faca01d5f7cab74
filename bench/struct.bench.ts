import { MessageChannel } from 'node:worker_threads';
import { codec, Queue, share } from '../lib/index.ts';
import { Crew, type Job, onCrew } from './crew.ts';
import type { City } from './queues.jobs.ts';
import { type Rival, type Scenario, slow } from './scenario.ts';
import { city } from './struct.jobs.ts';

/** Slots of every ring. */
const CAPACITY = 1024;
const RECORDS = 10_000_000;
const MESSAGE = 65_536;

const module = new URL('./struct.jobs.js', import.meta.url).href;
const objects = new URL('./queues.jobs.js', import.meta.url).href;

const pair = (producer: string, consumer: string, data: unknown, from = module): Job[] => [
  { module: from, name: producer, data },
  { module: from, name: consumer, data },
];

function channel(): Job[] {
  const { port1, port2 } = new MessageChannel();
  return [
    { module: objects, name: 'postObjects', data: port1, transfer: [port1] },
    { module: objects, name: 'receiveObjects', data: port2, transfer: [port2] },
  ];
}

const cities = () => share(new Queue<City>({ capacity: CAPACITY, codec: city }));

const records: Scenario = {
  ...({ better: 'more', threads: 2, rounds: 7, compare: true } as const),
  name: 'queue of structs: records through views beat postMessage of the same objects',
  how: 'one producer thread, one consumer thread, records of six fields, two of them strings; put, get and postMessage make objects',
  unit: 'M records/s',
  rivals: [
    onCrew('ringfence produceMany, consumeMany', { jobs: () => pair('produceMany', 'consumeMany', cities()) }),
    onCrew('ringfence produce, consume', { jobs: () => pair('produce', 'consume', cities()) }),
    onCrew('ringfence put, get', { jobs: () => pair('putObjects', 'getObjects', cities(), objects) }),
    slow(
      onCrew('ringfence put, get of the default codec', {
        jobs: () => pair('putObjects', 'getObjects', share(new Queue<City>({ capacity: CAPACITY })), objects),
      }),
    ),
    onCrew('postMessage', { jobs: channel }),
  ],
};

/** A rival whose figure is by how many KiB the heap of the thread that grew more is larger after ten million records. */
function heap(name: string): Rival {
  const growth = new Float64Array(new SharedArrayBuffer(16));
  let crew: Crew | undefined;
  return {
    name,
    costly: true,
    async start() {
      const queue = new Queue<City>({ capacity: CAPACITY, codec: city });
      crew = await Crew.start(pair('produceWeighed', 'consumeWeighed', share({ queue, growth })));
      for (let times = 0; times < 3; times++) await crew.round(RECORDS / 10); // until V8 has compiled everything
    },
    async round() {
      await crew?.round(RECORDS);
      return Math.max(...growth) / 1024;
    },
    async stop() {
      await crew?.stop();
    },
  };
}

const garbage: Scenario = {
  ...({ better: 'less', threads: 2, rounds: 3, compare: false } as const),
  name: 'heap of structs: ten million records leave no garbage',
  how: 'one producer thread, one consumer thread; used heap after a round less that before it, without a collection in between',
  unit: 'KiB',
  rivals: [heap('ringfence produceMany, consumeMany')],
};

const bytes = () => share(new Queue<Uint8Array>({ capacity: 16, codec: codec.bytes, blockBytes: MESSAGE }));

const large: Scenario = {
  ...({ better: 'more', threads: 2, rounds: 7, compare: true } as const),
  name: 'queue of bytes, 64 KiB: a message costs two copies and an array',
  how: 'one producer thread, one consumer thread, blockBytes 65,536; beside it the copy of as many bytes in one thread',
  unit: 'GB/s',
  slow: true,
  rivals: [
    onCrew('ringfence Queue of bytes', { jobs: () => pair('putBytes', 'getBytes', bytes()), factor: MESSAGE / 1000 }),
    onCrew('memcpy', { jobs: () => [{ module, name: 'copyBytes' }], factor: MESSAGE / 1000 }),
  ],
};

/** The scenarios of structs and bytes. */
export const structs: readonly Scenario[] = [records, garbage, large];
