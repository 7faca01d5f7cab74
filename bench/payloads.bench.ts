import { codec, Queue, share } from '../lib/index.ts';
import { onCrew } from './crew.ts';
import { native } from './native.ts';
import { CAPACITY, channel, pair } from './queues.bench.ts';
import { type Rival, reference, type Scenario } from './scenario.ts';

const common = { better: 'more', threads: 2, rounds: 9, compare: true } as const;

const fractions: Scenario = {
  ...common,
  name: 'queue of f64: eight bytes in a slot cost little more than four',
  how: 'as the queue of i32, one at a time, with numbers of 64 bits',
  unit: 'M items/s',
  rivals: [
    onCrew('ringfence Queue', {
      jobs: () => pair('put', 'get', share(new Queue({ capacity: CAPACITY, codec: codec.f64 }))),
    }),
    onCrew('postMessage', { jobs: () => channel('post', 'receive') }),
  ],
};

/** Messages of `bytes` bytes, in a queue whose blocks hold the small ones and chain pieces for the large ones. */
function bytes(title: string, bytes: number, capacity: number): Scenario {
  const scaled = (rival: Rival): Rival => ({ ...rival, round: async () => (await rival.round()) * bytes });
  return {
    ...common,
    name: `queue of ${title}: shared memory beats the copies that postMessage makes`,
    how: `one producer thread sends Uint8Arrays of ${title}, one consumer thread takes them and looks at both ends of each`,
    unit: 'MB/s',
    scaling: { curve: 'queue of bytes', axis: 'bytes of a message', x: bytes },
    rivals: [
      scaled(
        onCrew('ringfence Queue', {
          jobs: () => {
            const queue = new Queue({ capacity, codec: codec.bytes, blockBytes: bytes + 16 });
            return pair('putBytes', 'getBytes', { queue: share(queue), bytes });
          },
        }),
      ),
      scaled(onCrew('postMessage', { jobs: () => channel('postBytes', 'receiveBytes', { bytes }) })),
      ...(bytes > 10_000
        ? [reference(native('memcpy, C++', ({ roundMs }) => ['copy', `${bytes}`, `${roundMs}`]))]
        : []),
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
