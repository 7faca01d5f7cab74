import { parseArgs } from 'node:util';

/** Something that the user asked for and that cannot be: the message alone is for him. */
export class Misuse extends Error {}

export const USAGE = `npm run bench -- [PATTERN] [options]

  PATTERN, --only PATTERN  only scenarios whose names match this regular expression
  --list                   their names, and nothing is measured
  --quick                  fewer and shorter rounds of fewer scenarios: about a minute and a half
  --check                  exit code 1 if a target of bench/targets.json is missed, also when it is measured again
  --baseline FILE          a column for how each figure compares with an earlier result
  --json FILE.json         keeps the result in that file too, for --baseline and --from; --json alone puts it on
                           stdout instead of tables (npm run --silent bench, or npm puts a line of its own before it)
  --from FILE              nothing is measured: tables, targets and report of an earlier result
  --charts                 writes the charts of the README as well
  --node VERSION           run on that Node (22, 24, 26, ...), which is fetched from npm
  --help                   this
`;

const CONFIG = {
  only: { type: 'string' },
  list: { type: 'boolean', default: false },
  quick: { type: 'boolean', default: false },
  check: { type: 'boolean', default: false },
  baseline: { type: 'string' },
  json: { type: 'boolean', default: false },
  'json-file': { type: 'string' }, // of --json
  from: { type: 'string' },
  charts: { type: 'boolean', default: false },
  node: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

export interface Options {
  readonly only: RegExp;
  /** Whether `only` leaves nothing out. */
  readonly everything: boolean;
  readonly list: boolean;
  readonly quick: boolean;
  readonly check: boolean;
  readonly baseline: string | undefined;
  /** Whether the result takes the place of the tables. */
  readonly json: boolean;
  /** Where the result is kept as well. */
  readonly file: string | undefined;
  readonly from: string | undefined;
  readonly charts: boolean;
  readonly node: string | undefined;
  readonly help: boolean;
}

/** Throws an error that says which argument was wrong. */
export function parse(args: readonly string[]): Options {
  const { values, positionals } = parsed(args);
  const [pattern = '', ...rest] = [...(values.only === undefined ? [] : [values.only]), ...positionals];
  if (rest.length > 0)
    throw new Misuse(`one PATTERN is allowed, and there is ${rest.map((each) => `"${each}"`).join(', ')} as well`);
  const { baseline, from, node, list, quick, check, charts, help, 'json-file': file } = values;
  const json = values.json && file === undefined;
  const odd = Object.entries({ '--quick': quick, '--list': list, '--node': node !== undefined }).find(([, on]) => on);
  if (from !== undefined && odd)
    throw new Misuse(`${odd[0]} is about what would be measured, and with --from nothing is measured`);
  if (json && baseline !== undefined)
    throw new Misuse('--baseline adds a column to the tables, and --json alone prints none: give it a FILE.json');
  const only = regularExpression(pattern);
  return { only, everything: pattern === '', list, quick, check, baseline, json, file, from, charts, node, help };
}

type Parsed = ReturnType<typeof parseArgs<{ options: typeof CONFIG; allowPositionals: true }>>;

function parsed(args: readonly string[]): Parsed {
  try {
    return parseArgs({ args: withFile(args), options: CONFIG, allowPositionals: true });
  } catch (error) {
    throw new Misuse(`${error instanceof Error ? error.message : error}\n\n${USAGE}`);
  }
}

/** `--json a.json` as two options: what stands behind `--json` may be its file, or a pattern. */
function withFile(args: readonly string[]): string[] {
  return args.flatMap((arg, at) => {
    const name = args[at + 1];
    return arg === '--json' && name?.endsWith('.json') && !name.startsWith('-') ? [arg, '--json-file'] : arg;
  });
}

function regularExpression(pattern: string): RegExp {
  try {
    return new RegExp(pattern, 'i');
  } catch (error) {
    throw new Misuse(`PATTERN must be a regular expression: ${error instanceof Error ? error.message : error}`);
  }
}
