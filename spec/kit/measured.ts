import type { Measured, Results } from '../../bench/results.ts';
import type { Row } from '../../bench/scenario.ts';

/** A row as if it had been measured. */
export const row = (name: string, figures: readonly number[], more: Partial<Row> = {}): Row => ({
  name,
  figures,
  remark: '',
  ...more,
});

/** A scenario as if it had been measured, of whose rows the first is ours. */
export const scenarioOf = (rows: readonly Row[], more: Partial<Measured> = {}): Measured => ({
  name: 'mutex alone: it costs less',
  how: 'in one thread',
  unit: 'ns a pair',
  better: 'less',
  threads: 1,
  compare: true,
  load: 0.5,
  others: 0,
  rows,
  ...more,
});

/** A result as if it had been measured, on a machine of two cores. */
export const resultsOf = (scenarios: readonly Measured[]): Results => ({
  format: 1,
  date: '2026-11-24T20:00:00.000Z',
  command: 'npm run bench -- --quick',
  quick: true,
  machine: { cpu: 'AMD EPYC <1>', cores: 2, node: '20.20.2', v8: '11.3', system: 'Linux x64', commit: 'abc1234' },
  scenarios,
});
