import { readFileSync } from 'node:fs';
import type { Measured, Results } from './results.ts';
import { median, quantile, type Row, ratio, type Target, titleOf } from './scenario.ts';
import { number } from './words.ts';

/** A target, and the title of the scenario that it is about. */
export interface NamedTarget extends Target {
  readonly scenario: string;
}

export interface Verdict {
  readonly state: 'met' | 'missed' | 'not measured';
  readonly text: string;
}

/** The limits that `--check` holds a run to. */
export function targets(): readonly NamedTarget[] {
  return JSON.parse(readFileSync(new URL('../../bench/targets.json', import.meta.url), 'utf8'));
}

type Judged = Pick<Results, 'scenarios' | 'again'>;

/** What became of each target whose scenario was measured. */
export function judge({ scenarios, again = [] }: Judged, limits: readonly NamedTarget[]): Verdict[] {
  return limits.flatMap((target) => {
    const scenario = scenarios.find((candidate) => titleOf(candidate) === target.scenario);
    return scenario ? [verdict(scenario, again.filter(isOf(target)), target)] : [];
  });
}

/** The targets that seem to be missed, and could be met if they were measured again. */
export function missed(results: Judged, limits: readonly NamedTarget[]): NamedTarget[] {
  return limits.filter((target) => {
    const scenario = results.scenarios.find((candidate) => titleOf(candidate) === target.scenario);
    return scenario && pair(scenario, target) && judge(results, [target])[0]?.state === 'missed';
  });
}

/** The rivals that `target` is about. */
export function namesOf({ subject, against }: NamedTarget): Set<string> {
  return new Set(against === undefined ? [subject] : [subject, against]);
}

/** Whether a measurement was made for `target`, and for nothing else. */
const isOf = (target: NamedTarget) => (scenario: Measured) =>
  titleOf(scenario) === target.scenario &&
  scenario.rows.length === namesOf(target).size &&
  scenario.rows.every(({ name }) => namesOf(target).has(name));

/** The rows of the target's rivals, if the scenario has them. */
function pair({ rows }: Measured, target: NamedTarget): { subject: Row; against: Row | undefined } | undefined {
  const [subject, against] = [target.subject, target.against].map((name) => rows.find((row) => row.name === name));
  return subject && (against || target.against === undefined) ? { subject, against } : undefined;
}

function verdict(first: Measured, again: readonly Measured[], target: NamedTarget): Verdict {
  const limit = limitOf(first, target);
  const what = `${target.scenario}: ${target.subject}${target.against ? ` / ${target.against}` : ''}`;
  const found = pair(first, target);
  if (!found) return { state: 'missed', text: `${what} (${limit}): there is no such rival` };
  const absent = found.subject.absent ?? found.against?.absent;
  if (absent) return { state: 'not measured', text: `${what} (${limit}): ${absent}` };

  const pairs = [first, ...again].flatMap((scenario) => pair(scenario, target) ?? []);
  const own = pairs.map(({ subject }) => median(subject));
  const figures = pairs.map(({ subject, against }) => (against ? ratio(subject, against) : median(subject)));
  const enough = middle(own) >= (target.orFigure ?? Infinity);
  const [shown, unit] = enough ? [own, first.unit] : [figures, target.against ? '' : first.unit];
  const met = enough || within(middle(shown), target);
  return { state: met ? 'met' : 'missed', text: `${what} = ${said(shown, unit)} (${limit})` };
}

const middle = (figures: readonly number[]): number => quantile(figures, 0.5);

const within = (figure: number, { atMost = Infinity, atLeast = -Infinity }: Target): boolean =>
  figure <= atMost && figure >= atLeast;

/** One figure; of several their median, which decides, and each of them. */
function said(figures: readonly number[], unit: string): string {
  const decides = `${number(middle(figures))}${unit && ` ${unit}`}`;
  if (figures.length === 1) return decides;
  const [first = Number.NaN, ...again] = figures;
  return `${decides}, the median of ${number(first)} and, measured again alone, ${again.map(number).join(', ')}`;
}

function limitOf({ unit }: Measured, { atMost, atLeast, orFigure }: NamedTarget): string {
  const limit = atMost === undefined ? `at least ${atLeast}` : `at most ${atMost}`;
  return orFigure === undefined ? limit : `${limit}, or ${number(orFigure)} ${unit}`;
}
