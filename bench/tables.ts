import { Table } from 'console-table-printer';
import { crowded, describe, disturbed, type Machine, type Measured, type Results } from './results.ts';
import { median } from './scenario.ts';
import { comparison, headline, number, ranked, sinceThen, spread } from './words.ts';

/** A scenario as text: what it is, who is first, the table, and who is absent and why. A narrow terminal has fewer columns. */
export function text(
  scenario: Measured,
  machine: Machine,
  baseline?: Results,
  columns: number = process.stdout.columns ?? Infinity,
): string {
  const { name, how, load, rows } = scenario;
  return [
    `\n${name}\n${how}\n${describe(machine)} | load before it ${number(load)}`,
    crowded(machine, scenario),
    disturbed(scenario, machine),
    headline(scenario),
    table(scenario, baseline, columns),
    ...rows.flatMap((row) => (row.absent ? [`${row.name}: not measured, ${row.absent}`] : [])),
  ]
    .filter(Boolean)
    .join('\n');
}

/** What stands above tables with a column for an earlier result, if this one was measured on `machine`. */
export function origin({ date, quick, machine: other }: Results, machine: Machine): string {
  const same = (['cpu', 'cores', 'system'] as const).every((key) => other[key] === machine[key]);
  return [
    `then: ${date.slice(0, 10)}${quick ? ', a quick run' : ''}, ${describe(other)}`,
    same
      ? undefined
      : `that was another machine (this one is ${machine.cpu}, ${machine.cores} cores, ${machine.system})`,
  ]
    .filter(Boolean)
    .join('\n');
}

/** Ways to print a table, the next one narrower. */
const WIDTHS = [
  { rival: Infinity, short: false, spread: true },
  { rival: Infinity, short: true, spread: true },
  { rival: 24, short: true, spread: true },
  { rival: 20, short: true, spread: false },
] as const;

/** The widest table that fits into a terminal of so many columns. */
function table(scenario: Measured, baseline: Results | undefined, columns: number): string {
  const printed = WIDTHS.map((width) => tableOf(scenario, baseline, width));
  return (
    printed.find((each) => Math.max(...each.split('\n').map(({ length }) => length)) <= columns) ?? printed.at(-1) ?? ''
  );
}

function tableOf(scenario: Measured, baseline: Results | undefined, width: (typeof WIDTHS)[number]): string {
  const { unit, compare, rows } = scenario;
  const best = ranked(scenario);
  const [ours] = rows;
  const remarks = best.some(({ remark }) => remark);
  const printed = new Table({ shouldDisableColors: true, defaultColumnOptions: { alignment: 'right' } });
  printed.addColumn({ name: 'rival', alignment: 'left', ...(width.rival < Infinity && { maxLen: width.rival }) });
  for (const row of best) {
    printed.addRow({
      rival: row.reference ? `(${row.name})` : row.name,
      [unit]: number(median(row)),
      ...(width.spread && { [width.short ? 'middle half' : 'middle half of the rounds']: spread(row) }),
      ...(width.spread && percentiles(row.percentiles)),
      ...(compare &&
        ours &&
        !ours.absent && { [`against ${width.short ? 'ours' : ours.name}`]: comparison(scenario, row, ours) }),
      ...(baseline && { 'better than then': sinceThen(scenario, row, baseline) }),
      ...(remarks && width.spread && { remark: row.remark }),
    });
  }
  return printed.render();
}

function percentiles(known: readonly (readonly [number, number])[] | undefined): Record<string, string> {
  const shown = [0.5, 0.99, 0.999];
  return Object.fromEntries(
    (known ?? [])
      .filter(([share]) => shown.includes(share))
      .map(([share, value]) => [`p${share * 100}`, number(value)]),
  );
}
