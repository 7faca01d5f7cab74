/** What is explored of Broadcast, Pipe, and queues that redeliver, and how far. */
import { type BroadcastAct, broadcastScenario } from './broadcast-scenarios.ts';
import { DEATHS } from './deaths.ts';
import type { Scenario } from './machine.ts';
import { type PipeAct, pipeScenario } from './pipe-scenarios.ts';
import { type Plans, plan } from './plans.ts';
import type { Protocol } from './programs.ts';
import { recordScenario } from './record-scenarios.ts';
import { type DeliveryAct, redeliveryScenario } from './redelivery-scenarios.ts';

/** Where positions start: just below the wrap of the sign, and of the word. */
const SIGN = { position: 2 ** 31 - 2 };
const WORD = { position: 2 ** 32 - 2 };
const once = { kills: 1 };

type Part<A> = readonly (readonly A[])[];
type BroadcastOptions = Omit<Parameters<typeof broadcastScenario>[1], 'acts' | 'protocol'>;
type PipeOptions = Omit<Parameters<typeof pipeScenario>[1], 'acts' | 'protocol'>;

export function queuePlansUnder(protocol: Protocol): Plans {
  const broadcast = (name: string, options: BroadcastOptions, ...acts: Part<BroadcastAct>): Scenario =>
    broadcastScenario(`broadcast: ${name}`, { ...options, acts, protocol });
  const pipe = (name: string, options: PipeOptions, ...acts: Part<PipeAct>): Scenario =>
    pipeScenario(`pipe: ${name}`, { ...options, acts, protocol });
  const redelivery = (
    name: string,
    options: Omit<Parameters<typeof redeliveryScenario>[1], 'acts' | 'protocol'>,
    ...acts: Part<DeliveryAct>
  ): Scenario => redeliveryScenario(`redelivery: ${name}`, { ...options, acts, protocol });
  const one = { capacity: 1 };
  const two = { capacity: 2 };
  const twice = ['publish', 'publish'] as const;
  return {
    plans: [
      plan(broadcast('one publishes, one gets', { ...one, ...SIGN }, twice, ['get', 'get'])),
      plan(broadcast('one publishes, two get', { ...one, ...WORD }, twice, ['get'], ['get']), 1, 3),
      plan(broadcast('two publish', { ...one, ...WORD }, ['publish'], ['publish'], ['get', 'get']), 2, 4),
      plan(broadcast('two publish into two cells', { ...two, ...SIGN }, ['publish'], ['publish'], ['get']), 2),
      plan(broadcast('two share a subscription', { ...one, ...SIGN, shares: true }, twice, ['get'], ['get']), 1, 3),
      plan(
        broadcast('one of two who share it leaves', { ...one, ...SIGN, shares: true }, twice, ['get'], ['leave']),
        2,
        4,
      ),
      plan(
        broadcast(
          'one leaves, and its place is taken anew',
          { ...one, ...SIGN, shares: true, subscribed: 1 },
          ...[twice, ['get'] as const, ['leave', 'subscribe'] as const],
        ),
        2,
        4,
      ),
      plan(
        broadcast(
          'slow ones miss items',
          { ...one, ...SIGN, skips: true },
          [...twice, 'publish'],
          ['try to get', 'try to get'],
        ),
      ),
      plan(broadcast('they miss some of two', { ...two, ...WORD, skips: true }, [...twice, 'publish'], ['get'])),
      plan(
        broadcast(
          'two publish, who is slow misses items',
          { ...one, ...SIGN, skips: true },
          twice,
          ['publish'],
          ['try to get'],
        ),
        3,
      ),
      plan(broadcast('one subscribes', { ...one, ...WORD }, twice, ['subscribe'])),
      plan(broadcast('one subscribes, gets and leaves', { ...one, ...WORD }, twice, ['subscribe, get and leave'])),
      plan(broadcast('one subscribes beside another', { ...one, ...WORD }, ['publish'], ['subscribe'], ['get']), 2, 4),
      plan(broadcast('two subscribe', { ...two, ...WORD }, ['publish'], ['subscribe'], ['subscribe']), 2, 4),
      plan(broadcast('one leaves', { ...one, ...WORD }, twice, ['leave'])),
      plan(broadcast('closed', { ...one, ...WORD }, twice, ['get', 'get'], ['close']), 2, 4),
      plan(broadcast('deadlines', { ...one, timeouts: 1 }, ['publish', 'publish, or late'], ['get, or late'])),
      plan(pipe('one way', SIGN, ['send', 'send'], ['recv', 'recv'])),
      plan(pipe('both ways', WORD, ['send', 'recv'], ['recv', 'send'])),
      plan(pipe('both at once', WORD, ['send', 'recv'], ['send', 'recv'])),
      plan(pipe('the end of what was sent', WORD, ['send', 'close'], ['recv', 'recv'])),
      plan(pipe('closed by the receiver', WORD, ['send', 'send', 'send'], ['recv', 'close', 'recv']), 2),
      plan(pipe('both close', {}, ['send', 'close'], ['recv', 'close'])),
      plan(pipe('deadlines', { timeouts: 1 }, ['send', 'send, or late'], ['recv', 'recv, or late'])),
      plan(pipe('two want one end', {}, ['send'], ['recv'], ['recv']), 3),
      plan(pipe('two want one end, and close it', {}, ['recv'], ['send', 'close'], ['send', 'close']), 1, 3),
      plan(recordScenario('records: two put, one gets', { ...one, ...WORD, puts: [[1], [1]], gets: [[1, 1]] })),
      plan(recordScenario('records: two at once', { ...two, ...SIGN, puts: [[2], [1]], gets: [[2]] })),
      plan(
        recordScenario('records: one is overtaken', { ...one, ...WORD, items: 1, puts: [[1, 1]], gets: [[1, 1], [1]] }),
        3,
        5,
      ),
      plan(redelivery('two work', { items: 2, ...SIGN }, ['work'], ['work'])),
      plan(redelivery('two came back', { items: 2, returned: 2, ...SIGN }, ['work', 'work'], ['work'])),
      plan(redelivery('one works, one joins', { items: 1, ...WORD }, ['work'], ['join'])),
      plan(redelivery('one holds an item and gives it back', { items: 1, ...SIGN }, ['hold and give back'], ['work'])),
      plan(redelivery('one gives two back', { items: 2, ...WORD }, ['hold two and give back'], ['work', 'work'])),
      plan(redelivery('a promise to hold', { items: 1, ...WORD }, ['async: hold and give back'], ['work'])),
      plan(
        redelivery(
          'one gives back while it is closed',
          { items: 1, ...SIGN },
          ['hold and give back'],
          ['work'],
          ['close'],
        ),
        1,
        3,
      ),
      plan(
        redelivery('two work until it is closed', { items: 1, ...SIGN }, ['work', 'work'], ['work'], ['close']),
        1,
        3,
      ),
    ],
    deaths: [
      plan(recordScenario('records: death in a batch', { ...two, ...WORD, ...once, puts: [[2], [1]], gets: [[2]] })),
      plan(redelivery('death of one of two who work', { items: 1, ...SIGN, ...once }, ['work'], ['work'])),
      plan(
        redelivery('death of one who had two', { items: 2, ...WORD, ...once }, ['work on two'], ['work', 'work']),
        0,
      ),
      plan(redelivery('death of one while one joins', { items: 1, ...once }, ['work'], ['work'], ['join']), 0, 1),
      plan(
        redelivery('death of one of three who work', { items: 1, ...SIGN, ...once }, ['work'], ['work'], ['work']),
        0,
        1,
      ),
      plan(redelivery('death while it is closed', { items: 1, ...once }, ['work'], ['work', 'work'], ['close']), 0, 1),
      plan(redelivery('death of one who gives back', { items: 1, ...SIGN, ...once }, ['hold and give back'], ['work'])),
      plan(
        redelivery(
          'death of one who gives back to two',
          { items: 1, ...once },
          ...[['hold and give back'] as const, ['work'] as const, ['work'] as const],
        ),
        0,
        1,
      ),
      ...DEATHS.map((deaths) =>
        plan(redelivery(`two deaths, ${deaths}`, { items: 1, ...SIGN, deaths }, ['work'], ['work']), 0, 1),
      ),
      plan(broadcast('death of one of two', { ...one, ...SIGN, ...once }, twice, ['get', 'get']), 0, 2),
      plan(
        broadcast('death of a subscriber among three', { ...one, ...SIGN, ...once }, ['publish'], ['get'], ['get']),
        0,
        1,
      ),
      plan(
        broadcast('death of one who shares', { ...one, ...SIGN, shares: true, ...once }, twice, ['get'], ['get']),
        0,
        1,
      ),
      plan(broadcast('death of one who subscribes', { ...one, ...WORD, ...once }, ['publish'], ['subscribe']), 2),
      plan(pipe('death of one of two', { ...SIGN, ...once }, ['send', 'send'], ['recv', 'recv']), 0, 2),
      plan(pipe('death while one closes', { ...SIGN, ...once }, ['send', 'close'], ['recv', 'recv']), 1),
      plan(pipe('death among three', once, ['send'], ['recv'], ['recv']), 0, 1),
    ],
    crowds: [
      broadcast(
        'six',
        { ...two, ...WORD },
        twice,
        twice,
        ['get', 'get'],
        ['get', 'get'],
        ['subscribe, get and leave'],
        ['get'],
      ),
      broadcast(
        'six, and slow ones miss items',
        { ...two, ...SIGN, skips: true },
        ...[twice, twice, twice],
        ['get'],
        ['get'],
        ['get'],
      ),
    ],
  };
}
