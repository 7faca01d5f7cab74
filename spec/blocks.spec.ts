import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { BLOCK_FREE, BLOCK_STATE, BUSY, DONE, NO_BLOCK } from '../lib/kernel/layout.ts';
import { codec } from '../lib/queue/codec.ts';
import { newRing, starts } from './kit/rings.ts';

const OTHER = 1; // a slot that nobody uses

test('every block is claimed once, from a starting point on, and again after it was freed', () => {
  const { region, queue } = newRing(2, 0, { codec: codec.any as never });
  const { kernel } = region;
  const { offset, serial } = queue;
  const claimed: number[] = [];
  for (let i = kernel.blockClaim(offset, serial, 1, 3); i >= 0; i = kernel.blockClaim(offset, serial, 1, 3))
    claimed.push(i);
  assert.equal(claimed.slice(0, 3), [3, 4, 5]);
  assert.is(kernel.blockClaim(offset, serial, 1, 0), NO_BLOCK);
  assert.equal(new Set(claimed), new Set(claimed.keys()), 'all of them, also those before the start');
  const state = () => region.i32[(kernel.blockAt(offset, 1) + BLOCK_STATE) >> 2];
  assert.is(state(), 1 << 1);
  kernel.blockFree(kernel.blockAt(offset, 1));
  assert.is(state(), BLOCK_FREE);
  assert.is(kernel.blockClaim(offset, serial, 7, 0), 1);
  assert.is(state(), 7 << 1);
});

test('a block belongs to the ring while it is sent, and to the thread that takes it, at every position', () => {
  for (const position of starts) {
    const ring = newRing(2, position, { codec: codec.any as never });
    const { kernel, i32, slot } = ring.region;
    const { offset, serial } = ring.queue;
    for (let round = 0; round < 6; round++) {
      const block = kernel.blockAt(offset, kernel.blockClaim(offset, serial, slot + 1, 0));
      assert.is(ring.put(block), DONE);
      assert.is(i32[(block + BLOCK_STATE) >> 2], ((position + 2 * round) | 1) >> 0);
      assert.is(ring.getBlock(), block);
      assert.is(i32[(block + BLOCK_STATE) >> 2], (slot + 1) << 1);
      kernel.blockFree(block);
    }
  }
});

test('a consumer that took a block and died before it moved the head is helped by the next', () => {
  const ring = newRing(2, 0, { codec: codec.any as never });
  const { kernel, i32, slot } = ring.region;
  const { offset, serial } = ring.queue;
  const [first, second] = [0, 1].map((i) => kernel.blockAt(offset, kernel.blockClaim(offset, serial, slot + 1, i)));
  ring.put(first as number);
  ring.put(second as number);
  i32[((first as number) + BLOCK_STATE) >> 2] = (OTHER + 1) << 1; // the first step of the other's get
  assert.is(ring.getBlock(), second);
  assert.is(ring.getBlock(), BUSY);
  assert.is(i32[((first as number) + BLOCK_STATE) >> 2], (OTHER + 1) << 1, 'the first is still the other’s');
});

test.run();
