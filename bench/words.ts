import { find, type Measured, type Results } from './results.ts';
import { median, quantile, type Row, ratio, titleOf } from './scenario.ts';

// What tables and the report say in words, so that both say the same.

/** Three digits, and a comma at each thousand. */
export const number = (value: number): string => value.toLocaleString('en-US', { maximumSignificantDigits: 3 });

/** The middle half of the rounds. */
export const spread = ({ figures }: Row): string =>
  [0.25, 0.75].map((at) => number(quantile(figures, at))).join(' to ');

/** The rows that have figures, the best first. */
export function ranked({ rows, better }: Measured): Row[] {
  const sign = better === 'more' ? -1 : 1;
  return rows.filter(({ absent }) => !absent).sort((a, b) => sign * (median(a) - median(b)));
}

/** How many times better `row` is than `other`, by the rounds next to each other. */
export function times({ better }: Measured, row: Row, other: Row): number {
  return better === 'more' ? ratio(row, other) : ratio(other, row);
}

/** How `row` compares with `other`: which of the two is better, and how many times. */
export function comparison(scenario: Measured, row: Row, other: Row): string {
  if (row === other) return '';
  const factor = times(scenario, row, other);
  if (number(factor) === '1') return 'the same';
  return factor > 1 ? `${number(factor)} x better` : `${number(1 / factor)} x worse`;
}

/** Who is first, and where ours is if it is another one. What is there for comparison only is not asked. */
export function headline(scenario: Measured): string {
  const [first, second] = ranked(scenario).filter((row) => !row.reference);
  const ours = scenario.rows.find((row) => !row.absent && row === scenario.rows[0]);
  if (!scenario.compare || !first || !ours) return '';
  if (first !== ours) return `First: ${first.name}. ${ours.name} is ${comparison(scenario, ours, first)}.`;
  if (!second) return `First: ${ours.name}; nobody else could be measured.`;
  return `First: ${ours.name}, ${comparison(scenario, ours, second)} than ${second.name}.`.replace(
    'the same than',
    'the same as',
  );
}

/** How a row compares with its like in an earlier result. */
export function sinceThen(scenario: Measured, row: Row, baseline: Results): string {
  const before = find(baseline, titleOf(scenario), row.name);
  if (!before || before.absent) return 'new';
  const factor = scenario.better === 'more' ? median(row) / median(before) : median(before) / median(row);
  return Number.isFinite(factor) ? `${number(factor)} x` : '';
}
