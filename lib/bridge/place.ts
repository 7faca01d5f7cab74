/**
 * Where a server can be found: a name in the file system that appears when the server listens, is for its user alone, and
 * takes the place of one that nobody listens behind any more.
 *
 * Take  1. listen under a name that nobody knows, and make it private  2. link the public name to it, which fails if there is
 *          one  3. if so, call there: if somebody answers, he stays  4. if nobody does, move that name aside, make sure that
 *          it is the one which was called, and go on at 2
 *
 * Invariant: of any number of servers that start at once one gets the name and keeps it; the others fail, and who calls the
 * name never reaches a server that does not have it. The name is private from its first moment on.
 */
import { randomUUID } from 'node:crypto';
import { chmod, link, lstat, rename, rm } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { show } from '../memory/errors.ts';

const MOST_BYTES = 103; // of the name of a socket, on the system that allows the fewest
const HIDDEN_BYTES = 10;

/** Throws unless a socket can have this name. */
export function requirePath(path: unknown): asserts path is string {
  if (typeof path !== 'string' || path === '')
    throw new TypeError(`path must be the name of a file: got ${show(path)}`);
  const bytes = Math.max(Buffer.byteLength(path), Buffer.byteLength(dirname(path)) + 1 + HIDDEN_BYTES);
  if (bytes > MOST_BYTES) {
    throw new RangeError(
      `path must have at most ${MOST_BYTES} bytes, its folder ${HIDDEN_BYTES + 1} fewer: got ${path}`,
    );
  }
}

/** Listens at `path`. Returns what takes the name away again. Rejects when somebody listens there. */
export async function takePlace(server: Server, path: string): Promise<() => Promise<void>> {
  const hidden = hiddenBeside(path);
  await listen(server, hidden);
  const mine = await lstat(hidden);
  try {
    await chmod(hidden, 0o600);
    while (!(await isLinked(hidden, path))) await clear(path);
  } catch (error) {
    server.close();
    throw error;
  } finally {
    await rm(hidden, { force: true });
  }
  return async () => {
    const there = await lstat(path).catch(() => undefined);
    if (there?.ino === mine.ino) await rm(path, { force: true });
  };
}

function hiddenBeside(path: string): string {
  return join(dirname(path), `.${randomUUID().slice(0, HIDDEN_BYTES - 2)}`);
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, exclusive: true }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function isLinked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Moves a name aside behind which nobody listens; throws if somebody does. */
async function clear(path: string): Promise<void> {
  const called = await lstat(path).catch(() => undefined);
  if (!called) return;
  if (!called.isSocket()) throw new TypeError(`path must be free or a socket: ${path} is something else`);
  if (await isAnswered(path)) throw inUse(path);
  const aside = hiddenBeside(path);
  await rename(path, aside).catch(() => {});
  const moved = await lstat(aside).catch(() => undefined);
  // Another server may have come between the call and the move: its name goes back, unless a third one has it now.
  if (moved && moved.ino !== called.ino) await isLinked(aside, path);
  await rm(aside, { force: true });
}

function inUse(path: string): Error {
  const error: NodeJS.ErrnoException = new Error(`a server listens at ${path} already`);
  error.code = 'EADDRINUSE';
  return error;
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      else if (error.code === 'EAGAIN')
        resolve(true); // it has too many callers
      else reject(error);
    });
  });
}
