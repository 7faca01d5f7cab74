import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { KIND_LONG, NAME_BYTES } from '../lib/kernel/layout.ts';
import { KINDS, readName, titleOf, writeName } from '../lib/memory/kinds.ts';
import { Queue } from '../lib/queue/queue.ts';
import { Mutex } from '../lib/sync/mutex.ts';
import { newRegion } from './kit/regions.ts';

test('an object is called as in the errors of its class, also where only its offset is known', () => {
  const region = newRegion();
  const objects = [
    new Mutex({ region, name: 'stock' }),
    new Mutex({ region }),
    new Queue({ region, capacity: 1, name: 'Größe' }),
  ];
  for (const object of objects) assert.is(titleOf(region.kernel, region.buffer, object.offset), object.title);
});

test('a kind that is not known is called by its number', () => {
  const region = newRegion();
  const { offset } = region.create(KIND_LONG, 128, '');
  assert.is(titleOf(region.kernel, region.buffer, offset), `object of kind ${KIND_LONG} at ${offset}`);
});

test('a name is cut where a whole character ends, and nothing behind it is written', () => {
  for (const [name, kept] of [
    ['', ''],
    ['x'.repeat(NAME_BYTES), 'x'.repeat(NAME_BYTES)],
    ['x'.repeat(NAME_BYTES + 1), 'x'.repeat(NAME_BYTES)],
    [`${'x'.repeat(NAME_BYTES - 1)}ß`, 'x'.repeat(NAME_BYTES - 1)],
    ['ß'.repeat(30), 'ß'.repeat(23)],
  ] as const) {
    const bytes = Buffer.alloc(NAME_BYTES + 2, 0xff);
    writeName(bytes, 0, name);
    assert.is(readName(bytes, 0), kept);
    assert.is(bytes.at(-1), 0xff);
  }
});

test('a length that is torn reads no further than a name can be', () => {
  assert.is(readName(Buffer.alloc(400, 0xff).fill('x', 1), 0).length, NAME_BYTES);
});

test('a lock says who owns it, and what is no lock has no owner', () => {
  const region = newRegion();
  const mutex = new Mutex({ region });
  const owners = () => KINDS[mutex.kind]?.owners?.(region.kernel, mutex.offset, 0);
  assert.equal(owners(), []);
  mutex.lock();
  assert.equal(owners(), [region.slot]);
  assert.is(KINDS[new Queue({ region, capacity: 1 }).kind]?.owners, undefined);
});

test.run();
