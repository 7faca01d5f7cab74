/**
 * Mutants of the kernel: its source with small changes, compiled so that `env.mutant` says which of them is alive.
 *
 * A change replaces an expression by `(mutant === n ? changed : original)`, or a statement by an `if` likewise. Changes that
 * overlap go into different builds.
 */
import { readFileSync } from 'node:fs';
import asc from 'assemblyscript/asc';
import { filesIn, textOf } from '../sources.ts';
import { type Instrumented, instrument } from './instrument.ts';

/** One place of a file of lib/kernel. */
export interface Change {
  readonly file: string;
  /** Text that occurs once in the file, to look for `from` behind it. */
  readonly after: string;
  readonly from: string;
  readonly to: string;
}

export interface KernelMutant {
  readonly name: string;
  readonly changes: readonly Change[];
}

export interface Mutant extends KernelMutant {
  /** Part of the name of a scenario that kills it. */
  readonly by: string;
}

type Place = readonly [after: string, from: string, to: string];

/** Mutants of a file of the kernel. */
export const at =
  (file: string): ((name: string, by: string, ...places: readonly Place[]) => Mutant) =>
  (name, by, ...places) => ({
    ...{ name, by },
    changes: places.map(([after, from, to]): Change => ({ file: `lib/kernel/${file}.ts`, after, from, to })),
  });

interface Edit extends Change {
  readonly at: number;
  readonly number: number;
}

export interface Build {
  readonly instrumented: Instrumented;
  /** Numbers of the mutants by their names; 0 is none of them. */
  readonly numbers: ReadonlyMap<string, number>;
}

/** Compiles all mutants, as few modules as may be. */
export async function buildMutants(mutants: readonly KernelMutant[]): Promise<Build[]> {
  const batches: Edit[][] = [];
  const names: Map<string, number>[] = [];
  for (const { name, changes } of mutants) {
    const edits = (number: number): Edit[] => changes.map((change) => ({ ...change, at: placeOf(change), number }));
    let batch = batches.findIndex((others) => !edits(0).some((edit) => others.some((other) => overlap(edit, other))));
    if (batch < 0) batch = batches.push([]) - 1;
    names[batch] ??= new Map();
    const number = (names[batch] as Map<string, number>).size + 1;
    names[batch]?.set(name, number);
    batches[batch]?.push(...edits(number));
  }
  const builds: Build[] = [];
  for (const [i, edits] of batches.entries()) {
    builds.push({ instrumented: instrument(await compile(edits)), numbers: names[i] ?? new Map() });
  }
  return builds;
}

/** A module of lib/, as it was built, with a change. */
export async function changed<M>(file: string, from: string, to: string): Promise<M> {
  return (await import(changedUrl(file, from, to))) as M;
}

/** As `changed`: the address of the changed module. */
export function changedUrl(file: string, from: string, to: string): string {
  const url = new URL(`../../../lib/${file}.js`, import.meta.url);
  const text = readFileSync(url, 'utf8');
  if (text.split(from).length !== 2) throw new Error(`${file} has ${JSON.stringify(from)} not once`);
  const whole = (_: string, path: string): string => `from '${new URL(path, url)}'`;
  const code = text.replace(from, () => to).replaceAll(/from '(\.[^']+)'/g, whole);
  return `data:text/javascript,${encodeURIComponent(code).replaceAll("'", '%27')}`; // it stands between such marks
}

function placeOf({ file, after, from }: Change): number {
  const text = textOf(file);
  const start = text.indexOf(after);
  const at = text.indexOf(from, start);
  if (start < 0 || at < 0) throw new Error(`${file} has no ${JSON.stringify(start < 0 ? after : from)} any more`);
  if (text.indexOf(after, start + 1) >= 0) throw new Error(`${file} has ${JSON.stringify(after)} twice`);
  return at;
}

function overlap(a: Edit, b: Edit): boolean {
  return a.file === b.file && a.at < b.at + b.from.length && b.at < a.at + a.from.length;
}

function edited(file: string, edits: readonly Edit[]): string {
  const mine = edits.filter((edit) => edit.file === file).sort((a, b) => b.at - a.at);
  const text = mine.reduce((code, { at, from, to, number }) => {
    const changed = from.endsWith(';') // a statement
      ? `if (mutant === ${number}) { ${to} } else { ${from} }`
      : `(mutant === ${number} ? ${to} : ${from})`;
    return code.slice(0, at) + changed + code.slice(at + from.length);
  }, textOf(file));
  return mine.length === 0 ? text : `@external('env', 'mutant') declare const mutant: i32;\n${text}`;
}

async function compile(edits: readonly Edit[]): Promise<Uint8Array> {
  const sources = filesIn('lib/kernel', '.ts').filter((file) => !file.endsWith('layout.ts'));
  let wasm: Uint8Array | undefined;
  const options = ['-O1', '--noAssert', '--runtime', 'stub', '--enable', 'threads', '--importMemory', '--sharedMemory'];
  const memory = ['--initialMemory', '1', '--maximumMemory', '65536'];
  const { error, stderr } = await asc.main([...sources, '--outFile', 'kernel.wasm', ...options, ...memory], {
    readFile: (name) => (/^lib\/kernel\/\w+\.ts$/.test(name) ? edited(name, edits) : null),
    writeFile: (_name, contents) => {
      if (typeof contents !== 'string') wasm = contents;
    },
  });
  if (error || !wasm) throw new Error(`the mutants do not compile: ${stderr}`);
  return wasm;
}
