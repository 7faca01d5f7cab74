import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { countsOf } from './kit/explore/ratchet.ts';
import { core, standard } from './kit/explore/scenarios.ts';
import { sweep } from './kit/explore/sweep.ts';

sweep(core, ['block state', 'head seen', 'number', 'record', 'slot', 'tail']);

test('every search has its count, and no count is left of one that is gone', () => {
  const searches = [...standard.plans, ...standard.deaths].map(({ scenario }) => scenario.name);
  assert.equal(Object.keys(countsOf('quick')).sort(), [...searches].sort());
});

test.run();
