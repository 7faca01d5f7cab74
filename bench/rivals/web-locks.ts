import * as threads from 'node:worker_threads';
import { awaited, type Rival, Unavailable } from '../scenario.ts';

interface Locks {
  request(name: string, section: () => void): Promise<void>;
}

/** The lock manager of the Web, which Node has from version 24 on. */
export const webLocks = (): Rival =>
  awaited('Web Locks', () => {
    const { locks } = threads as { locks?: Locks };
    if (!locks) throw new Unavailable('Web Locks need Node 24 or later: npm run bench -- --node 24');
    return () => locks.request('mutex', () => {});
  });
