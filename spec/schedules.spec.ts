import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { complaint, countsOf } from './kit/explore/ratchet.ts';
import { standard } from './kit/explore/scenarios.ts';
import type { Report } from './kit/explore/search.ts';
import { explore, sample } from './kit/explore/search.ts';
import { shippedKernel } from './kit/explore/shipped.ts';
import { inTurn } from './kit/explore/stage.ts';

const RUNS = 500; // random ones, of each crowd

const kernel = shippedKernel();
const benign = new Set<string>();
const total = { schedules: 0, states: 0, exhausted: 0, bounded: 0, random: 0 };

function add({ schedules, states, benign: met, verdict }: Report): void {
  total.schedules += schedules;
  total.states += states;
  for (const field of met) benign.add(field);
  if (verdict === 'exhausted' || verdict === 'bounded') total[verdict]++;
}

for (const { scenario, quick } of [...standard.plans, ...standard.deaths]) {
  const planned = quick === Number.POSITIVE_INFINITY ? 'exhausted' : 'bounded';
  test(`${scenario.name}: ${planned === 'exhausted' ? 'every schedule' : `all with ${quick} preemptions`}`, async () => {
    const report = await inTurn(() => explore(kernel, scenario, { preemptions: quick }));
    assert.is(report.verdict, planned, JSON.stringify(report.failure));
    assert.is(complaint('quick', report), undefined);
    add(report);
  });
}

const seed = Date.now() % 2 ** 31;
for (const scenario of standard.crowds) {
  test(`${scenario.name}: ${RUNS} random schedules`, () => {
    const report = sample(kernel, scenario, { runs: RUNS, depth: 4, seed });
    assert.is(report.verdict, 'bounded', `seed ${seed}: ${JSON.stringify(report.failure)}`);
    total.random += report.schedules;
    for (const field of report.benign) benign.add(field);
  });
}

test('each race that is allowed was met', () => {
  assert.equal([...benign].sort(), [
    ...['block state', 'cell', 'head seen', 'next to notify', 'number', 'record', 'share', 'slot', 'tail'],
  ]);
});

test('every search has its count, and no count is left of one that is gone', () => {
  const searches = [...standard.plans, ...standard.deaths].map(({ scenario }) => scenario.name);
  assert.equal(Object.keys(countsOf('quick')).sort(), [...searches].sort());
  const show = (count: number): string => count.toLocaleString('en');
  console.log(
    `\ntotal: ${show(total.schedules)} schedules with ${show(total.states)} states, ${total.exhausted} searches exhausted ` +
      `and ${total.bounded} bounded; ${show(total.random)} random schedules (seed ${seed})`,
  );
});

test.run();
