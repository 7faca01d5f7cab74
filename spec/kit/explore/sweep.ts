/** Searches as tests: each must come as far as it is planned, and meet no fewer schedules than last time. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Plans } from './plans.ts';
import { complaint } from './ratchet.ts';
import type { Report } from './search.ts';
import { explore, sample } from './search.ts';
import { shippedKernel } from './shipped.ts';
import { inTurn } from './stage.ts';

const RUNS = 500; // random ones, of each crowd

/** Writes the tests of all that is planned, and one that these allowed races were met and no others. */
export function sweep({ plans, deaths, crowds }: Plans, races: readonly string[]): void {
  const kernel = shippedKernel();
  const benign = new Set<string>();
  const total = { schedules: 0, states: 0, exhausted: 0, bounded: 0, random: 0 };

  function add({ schedules, states, benign: met, verdict }: Report): void {
    total.schedules += schedules;
    total.states += states;
    for (const field of met) benign.add(field);
    if (verdict === 'exhausted' || verdict === 'bounded') total[verdict]++;
  }

  for (const { scenario, quick } of [...plans, ...deaths]) {
    const planned = quick === Number.POSITIVE_INFINITY ? 'exhausted' : 'bounded';
    const how = planned === 'exhausted' ? 'every schedule' : `all with ${quick} preemptions`;
    test(`${scenario.name}: ${how}`, async () => {
      const report = await inTurn(() => explore(kernel, scenario, { preemptions: quick }));
      assert.is(report.verdict, planned, JSON.stringify(report.failure));
      assert.is(complaint('quick', report), undefined);
      add(report);
    });
  }

  const seed = Date.now() % 2 ** 31;
  for (const scenario of crowds) {
    test(`${scenario.name}: ${RUNS} random schedules`, () => {
      const report = sample(kernel, scenario, { runs: RUNS, depth: 4, seed });
      assert.is(report.verdict, 'bounded', `seed ${seed}: ${JSON.stringify(report.failure)}`);
      total.random += report.schedules;
      for (const field of report.benign) benign.add(field);
    });
  }

  test('each race that is allowed was met', () => {
    assert.equal([...benign].sort(), [...races].sort());
    const show = (count: number): string => count.toLocaleString('en');
    console.log(
      `\ntotal: ${show(total.schedules)} schedules with ${show(total.states)} states, ${total.exhausted} searches exhausted ` +
        `and ${total.bounded} bounded; ${show(total.random)} random schedules (seed ${seed})`,
    );
  });
}
