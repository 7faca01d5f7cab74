import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { KIND_LONG, OBJECT_KIND, USED } from '../lib/kernel/layout.ts';
import { Region } from '../lib/memory/region.ts';
import { codec } from '../lib/queue/codec.ts';
import { Queue } from '../lib/queue/queue.ts';
import { pieces } from './kit/regions.ts';

const LONG = 65_536;

function newQueue<T = Uint8Array>(options: object = {}): Queue<T> {
  const region = new Region({ bytes: 2 ** 21, threads: 4 });
  return new Queue<T>({ region, capacity: 4, codec: codec.bytes as never, ...options });
}

/** The pieces of messages, by their first units. */
function longs(region: Region): number[] {
  const isLong = (unit: number) => region.i32[(region.kernel.pieceAt(unit) + OBJECT_KIND) >> 2] === KIND_LONG;
  return pieces(region).flatMap(({ unit, state }) => (state === USED && isLong(unit) ? [unit] : []));
}

test('a message that is longer than a block lies in one piece, whatever its codec', () => {
  const text = 'x'.repeat(LONG);
  for (const [kind, value] of [
    ['bytes', new Uint8Array(LONG).fill(3)],
    ['string', text],
    ['any', { text, more: [1, 2] }],
    ['json', [text]],
  ] as const) {
    const queue = newQueue<unknown>({ codec: codec[kind] });
    queue.put(value);
    assert.is(longs(queue.region).length, 1, kind);
    assert.equal(queue.get(), value);
    assert.equal(longs(queue.region), []);
  }
});

test('a block takes the piece again that was behind it last, if that is about as long as needed', () => {
  const region = new Region({ bytes: 2 ** 21, threads: 4 });
  const wide = new Queue({ region, capacity: 1, codec: codec.bytes, blockBytes: 8192 });
  const queue = newQueue({ region, capacity: 1 });
  const blocks = 17;
  const placeOf = (bytes: number): number => {
    const reservation = queue.reserve(bytes);
    const { byteOffset } = reservation.bytes;
    reservation.abandon();
    for (let i = 1; i < blocks; i++) queue.reserve(1).abandon(); // until it is the turn of the same block again
    return byteOffset;
  };
  const place = placeOf(LONG);
  wide.free(); // now there is room for it further in front, where a walk would find it first
  assert.equal([placeOf(LONG), placeOf(LONG - 5000)], [place, place]);
  assert.ok(placeOf(LONG / 2) < place, 'one far shorter would waste the rest');
});

test('an array that is large makes no difference to what is in it', () => {
  const queue = newQueue({ capacity: 20 });
  for (let n = 0; n < 40; n++) {
    const bytes = Uint8Array.from({ length: LONG + n }, (_, i) => i * n);
    queue.put(bytes);
    const got = queue.get();
    assert.equal(got, bytes);
    assert.is(got.buffer.byteLength, got.length, 'its memory is its own');
  }
});

test.run();
