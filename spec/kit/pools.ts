import { Pool } from '../../lib/pool/pool.ts';

export type Tasks = typeof import('./tasks.ts');

/** The address of `tasks`, compiled. */
export const tasks: URL = new URL('./tasks.js', import.meta.url);

const open: Pool<Tasks>[] = [];

/** A pool of one thread over `tasks`, until `closePools`. */
export function newPool(options: ConstructorParameters<typeof Pool>[1] = {}): Pool<Tasks> {
  const pool = new Pool<Tasks>(tasks, { threads: 1, ...options });
  open.push(pool);
  return pool;
}

/** After each test, also after one that failed. */
export async function closePools(): Promise<void> {
  await Promise.all(open.splice(0).map((pool) => pool.close({ timeout: 0 })));
}

/** What `promise` rejects with. */
export function reasonOf(
  promise: Promise<unknown>,
): Promise<Error & { code?: string; cause?: Error & { code?: string } }> {
  return promise.then(
    (value) => Promise.reject(new Error(`expected a rejection, and it gave ${String(value)}`)),
    (reason) => reason,
  ) as Promise<never>;
}
