import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of the package, as seen from dist/spec/kit. */
export const root: string = fileURLToPath(new URL('../../..', import.meta.url));

/** A file of the package, by its path from the root, with `/`. */
export function textOf(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** Paths of the files in a folder of the package that end in `ending`, folders within it included. */
export function filesIn(folder: string, ending: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true })
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      return entry.isDirectory() ? filesIn(path, ending) : path;
    })
    .filter((path) => path.endsWith(ending))
    .sort();
}

/** TypeScript without its comments; text in quotes stays, whatever it looks like. */
export function withoutComments(code: string): string {
  const quoted = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/;
  const tokens = new RegExp(`(${quoted.source})|//.*|/\\*[\\s\\S]*?\\*/`, 'g');
  return code.replace(tokens, (_, text: string | undefined) => text ?? ' ');
}
