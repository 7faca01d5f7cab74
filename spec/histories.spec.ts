import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { codec } from '../lib/queue/codec.ts';
import { campaign, described } from './kit/history/campaign.ts';
import { killInMutex, killInQueue, VICTIMS } from './kit/history/kills.ts';
import { Lane, newClock, newLanes, operationsOf, REFUSED } from './kit/history/lane.ts';
import { checked, RECORDERS } from './kit/history/record.ts';

const OPERATIONS = 255_000; // of each kind, so that it is more than a million in all
const totals = { operations: 0, histories: 0 };

test('a lane gives back what was written into it, and what never returned has no outcome', () => {
  const [clock, lanes] = [newClock(), newLanes(2, 3)];
  const lane = new Lane(clock, lanes[1] as Int32Array);
  lane.do('tryLock', 0, () => false);
  lane.do('get', 0, () => 7);
  lane.begin('put', 9);
  assert.equal(operationsOf(lanes), [
    { lane: 1, verb: 'tryLock', argument: 0, outcome: REFUSED, call: 0, return: 1 },
    { lane: 1, verb: 'get', argument: 0, outcome: 7, call: 1, return: 2 },
    { lane: 1, verb: 'put', argument: 9, outcome: undefined, call: 2, return: Number.POSITIVE_INFINITY },
  ]);
  assert.is(lane.room, 0);
});

for (const [name, record] of Object.entries(RECORDERS)) {
  test(`${name}: what threads do to it at the same time is as if they did it one after another`, async () => {
    const sum = await campaign(record, { operations: OPERATIONS, seed: 1 });
    console.log(`\n${name}: ${described(sum)}`);
    // it did happen at the same time
    assert.ok(sum.overlapping > sum.operations / 10, 'operations overlap');
    assert.ok(sum.turns > sum.operations / 50, 'the threads take turns');
    assert.ok(sum.refused > 0, 'some found it locked, empty, full');
    if (name !== 'mutex') assert.ok(sum.ambiguous > 0, 'sometimes several orders were possible'); // its count tells all
    totals.operations += sum.operations;
    totals.histories += sum.histories;
  });
}

const deaths = { victims: 0, cut: 0 };
for (const [name, record] of Object.entries({
  mutex: () => killInMutex(1),
  'queue of i32': () => killInQueue(codec.i32, 1),
  'queue of f64': () => killInQueue(codec.f64, 2),
  'queue of text': () => killInQueue(codec.string, 3),
})) {
  test(`${name}: what a thread was doing that is killed has taken effect or has not, and everybody else goes on`, async () => {
    const history = await record();
    const { operations } = checked(history);
    deaths.victims += VICTIMS;
    deaths.cut += history.operations.filter(({ outcome }) => outcome === undefined).length;
    totals.operations += operations;
    totals.histories++;
  });
}

test('some were killed in the middle of an operation', () => {
  assert.ok(deaths.cut > 0);
  console.log(
    `\ntotal: ${deaths.victims} threads killed in recorded histories, in the middle of ${deaths.cut} operations`,
  );
});

test('in all that is a million operations', () => {
  assert.ok(totals.operations >= 1_000_000, `${totals.operations}`);
  console.log(
    `\ntotal: ${totals.operations.toLocaleString('en')} operations in ${totals.histories} histories, linearizable`,
  );
});

test.run();
