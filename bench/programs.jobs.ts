import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { load } from '../examples/http.worker.ts';
import type { Body } from './crew.ts';

// What the programs of `programs.bench.ts` share with their examples, and the threads of their clients.

/** The files of a tree in the order of their names. */
export function* files(folder: string): Generator<string> {
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* files(path);
    else if (entry.isFile()) yield path;
  }
}

interface Visit {
  readonly url: string;
  readonly clients: number;
}

/** A thread that asks for a page so many times, `clients` at a time. */
export function visit({ url, clients }: Visit): Body {
  return async (requests) => {
    const { right } = await load(url, requests, clients);
    if (right !== requests) throw new Error(`${requests - right} of ${requests} answers were wrong`);
  };
}
