import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Misuse } from './options.ts';
import { type Question, type Row, titleOf } from './scenario.ts';

/** A scenario as it was measured. */
export interface Measured extends Question {
  /** Average number of runnable threads in the minute before it. */
  readonly load: number;
  /** Cores that other programs used while it ran. */
  readonly others: number;
  readonly rows: readonly Row[];
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly node: string;
  readonly v8: string;
  readonly system: string;
  readonly commit: string;
}

/** What a run leaves behind, as a file too. */
export interface Results {
  readonly format: 1;
  readonly date: string;
  readonly command: string;
  readonly quick: boolean;
  readonly machine: Machine;
  readonly scenarios: readonly Measured[];
  /** What was measured again, alone, as a target seemed to be missed: the rivals of the target, so many times. */
  readonly again?: readonly Measured[];
}

/** The folder of the sources; this file runs in `dist/bench/`. */
export const folder: string = fileURLToPath(new URL('../../bench/', import.meta.url));

export function machine(): Machine {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? 'unknown CPU',
    cores: os.availableParallelism(),
    node: process.versions.node,
    v8: process.versions.v8,
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    commit: commit(),
  };
}

function git(...args: string[]): string {
  return execFileSync('git', args, { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
}

function commit(): string {
  try {
    const changed = git('status', '--porcelain', '--', ':/lib', ':/bench/*.ts', ':/package-lock.json');
    return git('rev-parse', '--short', 'HEAD') + (changed && '-dirty');
  } catch {
    return 'unknown';
  }
}

/** The line above every table. */
export const describe = ({ cpu, cores, node, v8, system, commit }: Machine): string =>
  `${cpu}, ${cores} cores | Node ${node} (V8 ${v8}) | ${system} | commit ${commit}`;

/** The command that measures these scenarios and no others. */
export function commandFor(...scenarios: readonly Question[]): string {
  const titles = scenarios.map((scenario) => titleOf(scenario).replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return `npm run bench -- --only '^${titles.length === 1 ? titles[0] : `(${titles.join('|')})`}:'`;
}

/** What a chart and a table have to say about scenarios that have more threads than there are cores. */
export function crowded({ cores }: Machine, ...scenarios: readonly Question[]): string | undefined {
  const counts = [...new Set(scenarios.map(({ threads }) => threads))].filter((threads) => threads > cores);
  if (counts.length === 0) return undefined;
  return `${counts.sort((a, b) => a - b).join(' and ')} threads on ${cores} cores: they take turns`;
}

/** What to hold against the figures of a scenario: that other programs ran meanwhile. */
export function disturbed({ others }: Measured, { cores }: Machine): string | undefined {
  return others > 0.1 ? `other programs used ${others.toFixed(1)} of ${cores} cores meanwhile` : undefined;
}

/** `bench/results/2026-11-24-amd-epyc-node20.json`; a quick run says so in its name. */
export function fileFor({ date, machine, quick }: Results): string {
  const cpu = machine.cpu
    .toLowerCase()
    .replaceAll(/\(.*?\)|processor|cpu|@.*$/g, ' ')
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-|-$/g, '');
  return `${folder}results/${date.slice(0, 10)}-${cpu}-node${machine.node.split('.')[0]}${quick ? '-quick' : ''}.json`;
}

export function save(results: Results, file: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(results, digits, 1)}\n`);
}

/** Six digits are more than any figure here deserves. */
const digits = (_key: string, value: unknown): unknown =>
  typeof value === 'number' ? Number(value.toPrecision(6)) : value;

/** Throws an error that says why no results could be kept in `file`. */
export function demandWritable(file: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true });
    accessSync(existsSync(file) ? file : dirname(file), constants.W_OK);
  } catch (error) {
    throw new Misuse(`no results can be kept in ${file}: ${error instanceof Error ? error.message : error}`);
  }
}

/** Throws an error that names `file` where it is none of ours. */
export function load(file: string): Results {
  let results: Partial<Results>;
  try {
    results = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Misuse(`${file} cannot be read as results: ${error instanceof Error ? error.message : error}`);
  }
  if (results?.format !== 1) throw new Misuse(`${file} holds no results of format 1; npm run bench writes them`);
  const { date, command, machine, scenarios, again = [] } = results;
  const whole =
    areTexts(date, command, ...['cpu', 'node', 'v8', 'system', 'commit'].map((key) => Object(machine)[key])) &&
    Number.isInteger(machine?.cores) &&
    [scenarios, again].every((list) => Array.isArray(list) && list.every(isMeasured));
  if (!whole) throw new Misuse(`${file} holds results of format 1 of which something is missing`);
  return results as Results;
}

const areTexts = (...values: readonly unknown[]): boolean => values.every((value) => typeof value === 'string');

function isMeasured(scenario: Partial<Measured> | null): boolean {
  const { name, how, unit, better, threads, load, others, rows } = scenario ?? {};
  return (
    areTexts(name, how, unit, better) && [threads, load, others].every(Number.isFinite) && !!rows && rows.every(isRow)
  );
}

const isRow = (row: Partial<Row> | null): boolean =>
  areTexts(row?.name, row?.remark) && Array.isArray(row?.figures) && row.figures.every(Number.isFinite);

/** The row called `name` in the scenario called `title`. */
export function find({ scenarios }: Results, title: string, name: string): Row | undefined {
  return scenarios.find((scenario) => titleOf(scenario) === title)?.rows.find((row) => row.name === name);
}
