import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Pace } from '../lib/pipeline/pace.ts';

const CAPACITY = 7;
const SEVERAL = 100; // records of a message

/** A pace that is known: a hundred messages of so many records, as many milliseconds apart as `each` says. */
function known(each: number, records = SEVERAL): { doze(each: number, count?: number, capacity?: number): number } {
  const pace = new Pace(0);
  let now = 0;
  const doze = (each: number, count = 1, capacity = CAPACITY): number => {
    for (let i = 0; i < count; i++) pace.took(records);
    now += each * count;
    return Math.round(pace.none(now, capacity) * 1e6) / 1e6;
  };
  for (let i = 0; i < 100; i++) doze(each);
  return { doze };
}

test('whoever empties its queue dozes for the time in which half of it fills', () => {
  assert.is(known(2).doze(2), 6);
  assert.is(known(1.5).doze(1.5, 10), 4.5);
});

test('nobody dozes for longer than 8 ms', () => {
  assert.is(known(3).doze(3), 8);
  assert.is(known(1).doze(1, 10, 1000), 8);
});

test('a record that comes alone is not waited for', () => {
  assert.is(known(2, 1).doze(2), 0);
});

test('where messages are rare, or there is no room for two, each is waited for', () => {
  assert.is(known(4.5).doze(4.5), 0);
  assert.is(known(1000).doze(1000), 0);
  for (const capacity of [1, 2, 3]) assert.is(known(2).doze(2, 1, capacity), 0, `capacity ${capacity}`);
});

test('where a queue is full within a moment, nobody dozes', () => {
  assert.is(known(0.9).doze(0.9), 0);
});

test('an idle thread dozes once, and then waits until it is woken', () => {
  const pace = known(2);
  assert.is(pace.doze(2), 6);
  assert.is(pace.doze(6, 0), 0);
});

test('nobody dozes before the pace is known', () => {
  const pace = new Pace(0);
  for (let i = 1; i <= 64; i++) {
    pace.took(SEVERAL);
    assert.is(pace.none(i * 2, CAPACITY), 0);
  }
  pace.took(SEVERAL);
  assert.is(pace.none(130, CAPACITY), 6);
});

test('the pace is that of late, of which one message makes little; after a pause it has to show again', () => {
  const pace = known(2);
  assert.is(pace.doze(1), 3 * 1.7);
  assert.is(pace.doze(1000), 0);
  assert.is(pace.doze(2), 0);
  for (let i = 0; i < 30; i++) pace.doze(2);
  assert.is(Math.round(pace.doze(2)), 6);
});

test.run();
