import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { codec } from '../lib/queue/codec.ts';
import { carry, difference, numbers, scratch } from './kit/carry.ts';

test('any reads a getter of plain data once, so that what it checked is what it sends', () => {
  let reads = 0;
  const value = {
    get a() {
      return reads++ === 0 ? { n: 1 } : () => 'never';
    },
  };
  const end = codec.any.encode(value, scratch, 0, scratch.length);
  assert.equal(codec.any.decode(scratch, 0, end), { a: { n: 1 } });
  assert.is(reads, 1);
});

test('any agrees with structuredClone when getters change the value', () => {
  const shapes: (() => unknown)[] = [
    () => ({
      get a() {
        return delete (this as { b?: number }).b;
      },
      b: 2,
      c: 3,
    }),
    () => ({
      get a() {
        return Object.assign(this, { z: 1 }).z;
      },
      c: 3,
    }),
    () => {
      const list: unknown[] = [0, 1, 2];
      Object.defineProperty(list, 0, { get: () => void list.push('more'), enumerable: true });
      return list;
    },
  ];
  for (const make of shapes) {
    const end = codec.any.encode(make(), scratch, 0, scratch.length);
    assert.is(difference(codec.any.decode(scratch, 0, end), structuredClone(make())), '');
  }
});

test('any can be used by a getter of the very value that it encodes', () => {
  const inner = Buffer.alloc(256);
  let end = 0;
  const value = {
    first: 'one',
    get second() {
      end = codec.any.encode({ x: [1, { y: 'inner' }] }, inner, 0, inner.length);
      return 'two';
    },
    third: { z: 3 },
  };
  const stop = codec.any.encode(value, scratch, 0, scratch.length);
  assert.equal(codec.any.decode(scratch, 0, stop), { first: 'one', second: 'two', third: { z: 3 } });
  assert.equal(codec.any.decode(inner, 0, end), { x: [1, { y: 'inner' }] });
});

test('a __proto__ key reaches no prototype', () => {
  const arrived = carry(
    codec.any,
    JSON.parse('{"__proto__":{"polluted":1},"a":{"__proto__":{"polluted":1}}}'),
  ) as object;
  assert.is(Object.getPrototypeOf(arrived), Object.prototype);
  assert.equal(Object.keys(arrived), ['__proto__', 'a']);
  assert.is(({} as { polluted?: unknown }).polluted, undefined);
});

test('what was short text of a message before does not change that of the next', () => {
  const random = numbers(7);
  for (let i = 0; i < 20_000; i++) {
    const key = String.fromCharCode(
      ...Array.from({ length: Math.floor(random() * 5) }, () => 97 + Math.floor(random() * 26)),
    );
    assert.equal(carry(codec.any, { [key]: key }), { [key]: key });
  }
});

test.run();
