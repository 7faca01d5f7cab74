import { readFileSync } from 'node:fs';
import type { Measured } from './results.ts';
import { median, ratio, type Target, titleOf } from './scenario.ts';
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

/** What became of each target whose scenario was measured. */
export function judge(measured: readonly Measured[], limits: readonly NamedTarget[]): Verdict[] {
  return limits.flatMap((target) => {
    const scenario = measured.find((candidate) => titleOf(candidate) === target.scenario);
    return scenario ? [verdict(scenario, target)] : [];
  });
}

function verdict(scenario: Measured, target: NamedTarget): Verdict {
  const find = (name?: string) => scenario.rows.find((row) => row.name === name);
  const [subject, against] = [find(target.subject), find(target.against)];
  const limit = limitOf(scenario, target);
  const what = `${target.scenario}: ${target.subject}${target.against ? ` / ${target.against}` : ''}`;
  if (!subject || (target.against && !against)) {
    return { state: 'missed', text: `${what} (${limit}): there is no such rival` };
  }
  const absent = subject.absent ?? against?.absent;
  if (absent) return { state: 'not measured', text: `${what} (${limit}): ${absent}` };
  if (median(subject) >= (target.orFigure ?? Infinity)) {
    return { state: 'met', text: `${what}: ${number(median(subject))} ${scenario.unit} (${limit})` };
  }
  const figure = against ? ratio(subject, against) : median(subject);
  const met = figure <= (target.atMost ?? Infinity) && figure >= (target.atLeast ?? -Infinity);
  const unit = against ? '' : ` ${scenario.unit}`;
  return { state: met ? 'met' : 'missed', text: `${what} = ${number(figure)}${unit} (${limit})` };
}

function limitOf({ unit }: Measured, { atMost, atLeast, orFigure }: NamedTarget): string {
  const limit = atMost === undefined ? `at least ${atLeast}` : `at most ${atMost}`;
  return orFigure === undefined ? limit : `${limit}, or ${number(orFigure)} ${unit}`;
}
