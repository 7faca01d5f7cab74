import { readFileSync } from 'node:fs';
import type { Measured, Results } from './results.ts';
import { median, type Question, quantile, type Row, ratio, type Target, titleOf } from './scenario.ts';
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
  const limits: unknown[] = JSON.parse(readFileSync(new URL('../../bench/targets.json', import.meta.url), 'utf8'));
  return limits.map(asTarget);
}

const TEXTS = ['scenario', 'subject', 'against'];
const LIMITS = ['atMost', 'atLeast', 'orFigure'];

/** `limit`, if it is one: what is misspelt would be no limit at all, and always met. */
export function asTarget(limit: unknown): NamedTarget {
  const { scenario, subject, atMost, atLeast, ...rest } = Object(limit);
  const odd = Object.entries(Object(limit)).find(
    ([key, value]) =>
      !(TEXTS.includes(key) ? typeof value === 'string' : LIMITS.includes(key) && Number.isFinite(value)),
  );
  if (odd) throw new TypeError(`a target has ${TEXTS} as strings and ${LIMITS} as numbers, and not ${odd.join(': ')}`);
  if (scenario === undefined || subject === undefined || (atMost === undefined) === (atLeast === undefined))
    throw new TypeError(`a target has a scenario, a subject, and atMost or atLeast, and is ${JSON.stringify(limit)}`);
  return { scenario, subject, ...(atMost === undefined ? { atLeast } : { atMost }), ...rest };
}

/** The targets that are about one of these scenarios. */
export const about = (scenarios: readonly Pick<Question, 'name'>[], limits: readonly NamedTarget[]): NamedTarget[] =>
  limits.filter((target) => scenarios.some((scenario) => titleOf(scenario) === target.scenario));

type Judged = Pick<Results, 'scenarios' | 'again'>;

/** What became of each target whose scenario was measured. */
export function judge({ scenarios, again = [] }: Judged, limits: readonly NamedTarget[]): Verdict[] {
  return limits.flatMap((target) => {
    const scenario = scenarios.find((candidate) => titleOf(candidate) === target.scenario);
    return scenario ? [verdict(scenario, again.filter(isOf(target)), target)] : [];
  });
}

/** How many targets are met; one that was not measured is not. */
export function summary(verdicts: readonly Verdict[]): string {
  const count = (wanted: Verdict['state']) => verdicts.filter(({ state }) => state === wanted).length;
  const others = (['missed', 'not measured'] as const).filter((state) => count(state) > 0);
  return `Targets: ${[`${count('met')} of ${verdicts.length} met`, ...others.map((state) => `${count(state)} ${state}`)].join(', ')}`;
}

/** The verdicts as text, and how many there are of each. */
export const listed = (verdicts: readonly Verdict[]): string =>
  [summary(verdicts), ...verdicts.map(({ state, text }) => `${state.padEnd(12)}  ${text}`)].join('\n');

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

/** A figure that is none, or none that ends, as that of a division by nothing, is within no limit. */
const within = (figure: number, { atMost = Infinity, atLeast = -Infinity }: Target): boolean =>
  Number.isFinite(figure) && figure <= atMost && figure >= atLeast;

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
