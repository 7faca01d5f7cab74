import { codec, Queue, share } from '../lib/index.ts';
import { onCrew } from './crew.ts';
import { native, python } from './native.ts';
import { CAPACITY, channel, pair, ringbuf } from './queues.bench.ts';
import { channel as multithreadingChannel } from './rivals/multithreading.ts';
import { bytes as ringbufBytes, numbers as ringbufNumbers } from './rivals/ringbuf.ts';
import { type Rival, reference, type Scenario } from './scenario.ts';

const common = { better: 'more', threads: 2, rounds: 9, compare: true } as const;

const fractions: Scenario = {
  ...common,
  name: 'queue of f64: eight bytes in a slot cost little more than four',
  how: 'as the queue of i32, one at a time, with numbers of 64 bits',
  slow: true,
  unit: 'M items/s',
  rivals: [
    onCrew('ringfence Queue', {
      jobs: () => pair('put', 'get', share(new Queue({ capacity: CAPACITY, codec: codec.f64 }))),
    }),
    onCrew('postMessage', { jobs: () => channel('post', 'receive') }),
    onCrew('postMessage, receiveMessageOnPort in a loop', { jobs: () => channel('post', 'receiveInLoop') }),
    onCrew('ringbuf.js, which never sleeps', {
      jobs: () => ringbuf('pushFractions', 'popFractions', ringbufNumbers(CAPACITY, Float64Array)),
    }),
    multithreadingChannel('multithreading channel', CAPACITY),
    native('Vyukov ring, C++', ({ roundMs }) => ['fractions', `${roundMs}`]),
    python('multiprocessing.Queue, Python', ({ roundMs }) => ['fractions', `${roundMs}`]),
  ],
};

/**
 * V8 collects arrays for the first time when there are 32 MiB of them, and the pages of all those are new to the process; from
 * then on their memory is used again.
 */
const SETTLE_BYTES = 80 * 2 ** 20;

/** Rivals that are there for short messages only: who sends long ones has other ways in these languages. */
const ofShort = (bytes: number): Rival[] => [
  native('Vyukov ring, C++', ({ roundMs }) => ['messages', `${roundMs}`]),
  python('multiprocessing.Queue, Python', ({ roundMs }) => ['messages', `${CAPACITY}`, `${bytes}`, `${roundMs}`]),
];

/** Messages of `bytes` bytes, in a queue whose blocks hold the small ones; the large ones lie behind them. */
function bytes(title: string, bytes: number, capacity: number): Scenario {
  const long = bytes > 10_000;
  const blocks = long ? {} : { blockBytes: bytes + 16 };
  const scaled = (rival: Rival): Rival => ({ ...rival, round: async () => (await rival.round()) * bytes });
  const settle = long ? Math.ceil(SETTLE_BYTES / bytes) : 0;
  const onQueue = (name: string, producer: string, consumer: string): Rival => {
    const queue = () => share(new Queue({ capacity, codec: codec.bytes, ...blocks }));
    return scaled(onCrew(name, { jobs: () => pair(producer, consumer, { queue: queue(), bytes }), settle }));
  };
  return {
    ...common,
    name: `queue of ${title}: ${long ? 'what is lent is copied once, and all else twice' : 'shared memory beats the copies that postMessage makes'}`,
    how:
      `one producer thread sends Uint8Arrays of ${title}, one consumer thread takes them and looks at both ends of each; ` +
      'reserve and receive copy the bytes in, and read them where they lie',
    unit: 'MB/s',
    slow: !long,
    scaling: { curve: 'queue of bytes', axis: 'bytes of a message', x: bytes },
    rivals: [
      onQueue('ringfence Queue', 'putBytes', 'getBytes'),
      ...(long ? [onQueue('ringfence reserve, receive', 'lendBytes', 'receiveLent')] : []),
      scaled(onCrew('postMessage', { jobs: () => channel('postBytes', 'receiveBytes', { bytes }), settle })),
      scaled(
        onCrew('ringbuf.js, which never sleeps', {
          jobs: () => ringbuf('pushBytes', 'popBytes', { memory: ringbufBytes(capacity * bytes), bytes }),
        }),
      ),
      ...(bytes === 64 ? ofShort(bytes).map(scaled) : []),
      ...(long ? [reference(native('memcpy, C++', ({ roundMs }) => ['copy', `${bytes}`, `${roundMs}`]))] : []),
    ],
  };
}

/** The scenarios of payloads other than small numbers and objects. */
export const payloads: readonly Scenario[] = [
  fractions,
  bytes('64 bytes', 64, CAPACITY),
  bytes('1 KiB', 1024, CAPACITY),
  bytes('64 KiB', 65_536, 64),
];
