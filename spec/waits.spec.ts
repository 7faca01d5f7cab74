import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { REGION_TICKETS, THREAD_BYTES, THREAD_WAIT_OBJECT, THREAD_WAIT_SET } from '../lib/kernel/layout.ts';
import { newRegion } from './kit/regions.ts';

test('a wait is there from its begin to its end, with what was said of it', () => {
  const { kernel, record } = newRegion();
  assert.is(kernel.waitTicket(record), 0);
  const since = 1_764_000_000_123;
  kernel.waitBegin(record, 4096, 7, 64, 1, since);
  assert.ok(kernel.waitTicket(record) > 0);
  assert.is(kernel.peek(record + THREAD_WAIT_OBJECT), 4096);
  assert.is(kernel.peek(record + THREAD_WAIT_SET), 64);
  assert.is(kernel.waitSince(record), since);
  kernel.waitEnd(record);
  assert.is(kernel.waitTicket(record), 0);
});

test('no two waits have the same ticket, and later ones have higher ones, beyond 2^31 and 2^32 too', () => {
  const region = newRegion();
  const { kernel, i64, record } = region;
  const records = [record, record + THREAD_BYTES];
  for (const start of [0n, 2n ** 31n - 3n, 2n ** 32n - 3n, 2n ** 52n]) {
    i64[REGION_TICKETS >> 3] = start;
    let last = Number(start);
    for (let i = 0; i < 8; i++) {
      const one = records[i % 2] as number;
      kernel.waitBegin(one, 0, 0, 0, 0, 0);
      assert.is(kernel.waitTicket(one), last + 1);
      last++;
    }
  }
});

test('a thread that leaves waits for nothing', () => {
  const region = newRegion();
  const { kernel } = region;
  const record = region.record + (1 - region.slot) * THREAD_BYTES;
  kernel.threadJoin(record, 77);
  kernel.waitBegin(record, 4096, 7, 64, 1, 0);
  kernel.threadLeave(record);
  assert.equal([kernel.waitTicket(record), kernel.threadClaim(record)], [0, 0]);
});

test.run();
