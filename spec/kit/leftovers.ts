import { setImmediate as turn } from 'node:timers/promises';
import type { Test } from 'uvu';
import * as assert from 'uvu/assert';
import { Region } from '../../lib/memory/region.ts';

/** After every test, also of those that fail in the middle: no memory, no thread, no timer is left. */
export function leavesNothing(test: Test): void {
  let used = 0;
  test.before.each(() => {
    used = Region.current.used;
  });
  test.after.each(async () => {
    assert.is(Region.current.used, used, 'memory is left in the region');
    assert.is(Region.current.inspect().threads.filter(({ alive }) => alive).length, 1, 'a thread is left');
    await turn();
    const kept = process.getActiveResourcesInfo().filter((one) => /Worker|MessagePort|Timeout|Immediate/.test(one));
    assert.equal(kept, [], 'something keeps the process running');
  });
}
