/** Ratchet: how many schedules each search has run. One that runs fewer has stopped looking, or needs fewer: a person says which. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, textOf } from '../sources.ts';
import type { Report } from './search.ts';

/** Of `npm test` and of `npm run explore`. */
export type Form = 'quick' | 'long';
type Counts = Readonly<Record<string, number>>;

const FILE = 'spec/kit/explore/counts.json';

export function countsOf(form: Form): Counts {
  return (JSON.parse(textOf(FILE)) as Record<Form, Counts>)[form];
}

/** What is wrong with the count of a search, if anything is. */
export function complaint(form: Form, { name, schedules }: Report): string | undefined {
  const before = countsOf(form)[name];
  if (schedules >= (before ?? Number.POSITIVE_INFINITY)) return undefined;
  if (before === undefined && form === 'long') return undefined; // nobody has recorded it yet: it takes an hour
  const quick = form === 'quick' ? ' --quick' : '';
  const accept = `npm run explore -- '^${name}$'${quick} --record`;
  return `${name}: ${schedules} schedules, ${before ?? 'none'} before; if that is meant, accept it with ${accept}`;
}

/** Accepts the counts of these searches. */
export function record(form: Form, reports: readonly Report[]): void {
  const all = JSON.parse(textOf(FILE)) as Record<Form, Counts>;
  const now = Object.fromEntries(reports.map(({ name, schedules }) => [name, schedules]));
  const merged = Object.entries({ ...all[form], ...now }).sort(([a], [b]) => (a < b ? -1 : 1));
  writeFileSync(join(root, FILE), `${JSON.stringify({ ...all, [form]: Object.fromEntries(merged) }, null, 2)}\n`);
}
