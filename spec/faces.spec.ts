import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { AsyncMutex, AsyncQueue, RemoteQueue } from '../lib/bridge/faces.ts';
import type { NatsMutex, NatsQueue } from '../lib/bridge/nats.ts';
import type { SocketMutex, SocketQueue } from '../lib/bridge/socket.ts';
import type { Queue } from '../lib/queue/queue.ts';
import type { Mutex } from '../lib/sync/mutex.ts';
import { textOf } from './kit/sources.ts';

/** Compiles only if each of them has the face. */
type Faced<Face, Each extends Face> = Each;
type Queues = Faced<AsyncQueue<string>, Queue<string> | RemoteQueue<string>>;
type RemoteQueues = Faced<RemoteQueue<string>, SocketQueue<string> | NatsQueue<string>>;
type Mutexes = Faced<AsyncMutex, Mutex | SocketMutex | NatsMutex>;

test('local and remote queues and mutexes have the same faces', () => {
  const verbs = (_: Queues | RemoteQueues | Mutexes | undefined): number => 3;
  assert.is(verbs(undefined), 3); // the compiler has checked it
});

/** The cells of the table of promises: what they say, and the tests that they name. */
const [, promised = ''] = textOf('docs/beyond.md').split('## What is promised');
const rows = promised
  .split('\n')
  .filter((line) => line.startsWith('|'))
  .slice(2)
  .map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );

test('the table of promises is complete', () => {
  assert.ok(rows.length >= 12);
  for (const cells of rows) {
    assert.is(cells.length, 4, cells.join('|'));
    for (const cell of cells) assert.ok(cell.length > 0, cells.join('|'));
  }
});

test('each cell of the table of promises names tests that exist, or says that there is nothing to show', () => {
  for (const [what = '', ...cells] of rows) {
    for (const cell of cells) {
      const named = [...cell.matchAll(/\(`(\w+)`(?:: ([^)]*))?/g)];
      assert.ok(named.length > 0 || cell.includes('(nothing to show)'), `${what}: ${cell}`);
      for (const [, file = '', begins = ''] of named) {
        const titles = textOf(`spec/${file}.spec.ts`);
        for (const beginning of begins.split(/…,? ?/).filter(Boolean)) {
          assert.ok(
            titles.includes(`test('${beginning}`),
            `spec/${file}.spec.ts has no test that begins: ${beginning}`,
          );
        }
      }
    }
  }
});

test.run();
