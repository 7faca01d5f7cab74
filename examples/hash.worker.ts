import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

export interface Sum {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** The checksum of a file. */
export function sum(path: string): Sum {
  const content = readFileSync(path);
  return { path, bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };
}
