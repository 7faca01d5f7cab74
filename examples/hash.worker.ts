import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';

export interface Sum {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
}

/** Each thread has one, so that a file of any size needs no more memory than this. */
const piece = Buffer.alloc(2 ** 16);

/** The checksum of a file. */
export function sum(path: string): Sum {
  const hash = createHash('sha256');
  const file = openSync(path, 'r');
  const next = (): Buffer => piece.subarray(0, readSync(file, piece, 0, piece.length, null));
  let bytes = 0;
  try {
    for (let read = next(); read.length > 0; read = next()) {
      hash.update(read);
      bytes += read.length;
    }
  } finally {
    closeSync(file);
  }
  return { path, bytes, sha256: hash.digest('hex') };
}
