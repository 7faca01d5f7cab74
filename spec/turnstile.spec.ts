import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Turnstile } from '../lib/pool/turnstile.ts';

/** Who has entered, by name, in order. */
function crowd(turnstile: Turnstile): {
  come(name: string, signal?: AbortSignal): Promise<void>;
  readonly entered: string[];
} {
  const entered: string[] = [];
  const come = async (name: string, signal?: AbortSignal): Promise<void> => {
    await turnstile.enter(signal);
    entered.push(name);
  };
  return { come, entered };
}

test('as many enter as there are places, at once, and the others in their order', async () => {
  const turnstile = new Turnstile(2);
  const { come, entered } = crowd(turnstile);
  const all = ['a', 'b', 'c', 'd'].map((name) => come(name));
  await Promise.all(all.slice(0, 2));
  assert.equal([entered.join(), turnstile.waiting], ['a,b', 2]);
  turnstile.leave();
  turnstile.leave();
  await Promise.all(all);
  assert.equal([entered.join(), turnstile.waiting], ['a,b,c,d', 0]);
  assert.instance(turnstile.enter(undefined), Promise);
});

test('a place that nobody waits for is free again', () => {
  const turnstile = new Turnstile(1);
  assert.is(turnstile.enter(undefined), undefined);
  turnstile.leave();
  assert.is(turnstile.enter(undefined), undefined);
});

test('whoever gives up leaves the line, and the others keep their order', async () => {
  const turnstile = new Turnstile(1);
  const { come, entered } = crowd(turnstile);
  const names = Array.from({ length: 100 }, (_, n) => `${n}`);
  const aborters = names.map(() => new AbortController());
  const all = names.map((name, n) => come(name, aborters[n]?.signal));
  for (const [n, aborter] of aborters.entries()) if (n % 3 === 1) aborter.abort('enough');
  const settled = Promise.allSettled(all);
  assert.is(turnstile.waiting, 66);
  while (turnstile.waiting > 0) turnstile.leave();
  const gone = (await settled).filter((one) => one.status === 'rejected');
  assert.is(gone.length, 33);
  assert.is(gone[0]?.reason, 'enough');
  assert.equal(
    entered,
    names.filter((_, n) => n % 3 !== 1),
  );
});

test('all who wait can be refused, and an abort after that changes nothing', async () => {
  const turnstile = new Turnstile(1);
  const { come } = crowd(turnstile);
  const aborter = new AbortController();
  await come('inside');
  const all = Promise.allSettled([come('a', aborter.signal), come('b')]);
  turnstile.refuseAll('closed');
  aborter.abort();
  assert.equal(
    (await all).map((one) => one.status === 'rejected' && one.reason),
    ['closed', 'closed'],
  );
  assert.is(turnstile.waiting, 0);
  turnstile.leave();
  assert.is(turnstile.enter(undefined), undefined);
});

test.run();
