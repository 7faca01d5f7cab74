/**
 * Instruments a compiled kernel: a hook before every access of memory, and asyncify around it, so that a call can be left at
 * any access and taken up again there.
 *
 * Source: Binaryen's asyncify, Zakai, "Pause and Resume WebAssembly with Binaryen's Asyncify" (2019).
 *
 * 1. flatten: afterwards every operand is a local or a constant, so that the hook can stand right before the instruction
 * 2. put a call of the hook before each access; a copy of bytes becomes a loop over words, which others may come between
 * 3. put a call of `env.guard` where V8 looks whether the thread is to end: at the entry of each function and loop
 * 4. asyncify  5. module globals become words at `env.locals`, an address of each thread's own
 */
import binaryen from 'binaryen';

/** How an instruction touches memory. */
export type Act = 'load' | 'store' | 'cmpxchg' | 'rmw' | 'fill';

/** One instruction of the module that touches memory. */
export interface Site {
  readonly act: Act;
  readonly atomic: boolean;
  readonly offset: number;
  /** In bytes; of a fill the hook says it. */
  readonly size: number;
}

export interface Instrumented {
  readonly module: WebAssembly.Module;
  readonly sites: readonly Site[];
  /** Names of all that the kernel exports. */
  readonly operations: readonly string[];
  /** Bytes at `env.locals` that hold its globals. */
  readonly globals: number;
}

const OPERANDS = String.raw`((?:\s+\((?:local\.get \S+|i32\.const \S+|i64\.const \S+|f64\.const \S+)\))+)\s*\)`;
const ACCESS = new RegExp(
  String.raw`\((i32|i64|f64)\.(atomic\.)?(load|store|rmw)([\w.]*)((?: (?:offset|align)=\d+)*)${OPERANDS}`,
  'g',
);
const FILL = new RegExp(String.raw`\(memory\.fill${OPERANDS}`, 'g');
const OPERAND = /\((?:local\.get \S+|i32\.const \S+|i64\.const \S+)\)/g;
const GLOBAL = /\(global (\S+) \(mut (i32|i64)\)/g;
const LOCALS = 'locals';
/** Bytes at `env.locals` that the globals may take. */
export const LOCALS_BYTES = 64;

/** The module with its hooks, `env.hook(site, base, length)`, the last that of a fill, and `env.guard()`. */
export function instrument(wasm: Uint8Array): Instrumented {
  const flat = readModule(binaryen.readBinary(wasm));
  flat.addFunctionImport(
    'hook',
    'env',
    'hook',
    binaryen.createType([binaryen.i32, binaryen.i32, binaryen.i32]),
    binaryen.none,
  );
  flat.addFunctionImport('guard', 'env', 'guard', binaryen.none, binaryen.none);
  flat.addGlobalImport(LOCALS, 'env', LOCALS, binaryen.i32, false);
  flat.runPasses(['flatten']);
  const text = flat.emitText();
  flat.dispose();
  const { hooked, sites } = withHooks(text);
  const globals = 8 * [...hooked.matchAll(GLOBAL)].length;
  const module = readModule(binaryen.parseText(withGlobalsInMemory(hooked)));
  binaryen.setOptimizeLevel(1);
  binaryen.setPassArgument('asyncify-imports', 'env.hook');
  module.runPasses(['simplify-locals-nostructure', 'vacuum', 'asyncify', 'coalesce-locals', 'vacuum']);
  if (!module.validate()) throw new Error('the instrumented kernel is not valid');
  const bytes = module.emitBinary();
  module.dispose();
  const operations = [...text.matchAll(/\(export "(\w+)" \(func /g)].map(([, name = '']) => name);
  return { module: new WebAssembly.Module(bytes), sites, operations, globals };
}

function readModule(module: binaryen.Module): binaryen.Module {
  const {
    Atomics: atomics,
    MutableGlobals,
    BulkMemory,
    BulkMemoryOpt,
    NontrappingFPToInt,
    SignExt,
  } = binaryen.Features;
  module.setFeatures(atomics | MutableGlobals | BulkMemory | BulkMemoryOpt | NontrappingFPToInt | SignExt);
  return module;
}

function withHooks(text: string): { hooked: string; sites: Site[] } {
  const sites: Site[] = [];
  const hooked = text
    .replace(ACCESS, (instruction, type, atomic, kind, rest, flags, operands) => {
      const [base] = operands.match(OPERAND) ?? [];
      const act: Act = kind === 'rmw' ? (rest.endsWith('cmpxchg') ? 'cmpxchg' : 'rmw') : kind;
      if (/^(8|16)|\.rmw(8|16|32)/.test(rest)) throw new Error(`no hook for ${instruction}`);
      const offset = Number(/offset=(\d+)/.exec(flags)?.[1] ?? 0);
      sites.push({ act, atomic: atomic !== undefined, offset, size: type === 'i32' || rest.startsWith('32') ? 4 : 8 });
      const result = act === 'store' ? '' : ` (result ${type})`;
      return `(block${result} (call $hook (i32.const ${sites.length - 1}) ${base} (i32.const 0)) ${instruction})`;
    })
    .replace(FILL, (instruction, operands) => {
      const [base, , length] = operands.match(OPERAND) ?? [];
      sites.push({ act: 'fill', atomic: false, offset: 0, size: 0 });
      return `(block (call $hook (i32.const ${sites.length - 1}) ${base} ${length}) ${instruction})`;
    });
  const all =
    text.match(/\((?:i32|i64|f32|f64|v128)\.(?:atomic\.)?(?:load|store|rmw)|\(memory\.(?!size)\w+ *\n/g) ?? [];
  const copies = all.filter((access) => access.startsWith('(memory.copy')).length;
  if (all.length !== sites.length + copies) throw new Error(`${all.length} accesses, ${sites.length} hooks`);
  return { hooked: withCopies(withGuards(hooked), sites), sites };
}

/** Functions and loops begin with a guard. */
function withGuards(text: string): string {
  return text
    .replace(/\n \(func [^\n]*\n(?: {2}\(local [^\n]*\n)*/g, (head) => `${head}  (call $guard)\n`)
    .replace(/\(loop \$\S+/g, (head) => `${head} (call $guard)`);
}

/** Copies go word by word. V8 does not look whether the thread is to end meanwhile. */
function withCopies(text: string, sites: Site[]): string {
  const called = text.replace(/\(memory\.copy(?=\s)/g, '(call $copy');
  if (called === text) return text;
  const hook = (act: Act, base: string): string => {
    sites.push({ act, atomic: false, offset: 0, size: 4 });
    return `(call $hook (i32.const ${sites.length - 1}) (local.get ${base}) (i32.const 0))`;
  };
  const step = (name: string, by: number): string =>
    `(local.set ${name} (i32.add (local.get ${name}) (i32.const ${by})))`;
  const copy = `(func $copy (param $to i32) (param $from i32) (param $left i32) (local $word i32) (local $ends i32)
    (block $end (loop $next
      (local.set $ends (i32.le_s (local.get $left) (i32.const 0)))
      (br_if $end (local.get $ends))
      ${hook('load', '$from')}
      (local.set $word (i32.load (local.get $from)))
      ${hook('store', '$to')}
      (i32.store (local.get $to) (local.get $word))
      ${step('$to', 4)} ${step('$from', 4)} ${step('$left', -4)}
      (br $next))))`;
  return called.replace(/\)\s*$/, `${copy})`);
}

/** Globals become words of the thread's own memory, so that they are saved and restored with the rest. */
function withGlobalsInMemory(text: string): string {
  const types = [...text.matchAll(GLOBAL)].map(([, name = '', type = '']) => ({
    name,
    type,
  }));
  const base = `(global.get $${LOCALS})`;
  return types.reduce((code, { name, type }, i) => {
    const escaped = name.replaceAll('$', '\\$');
    const offset = `offset=${8 * i}`;
    return code
      .replace(new RegExp(`\\(global\\.get ${escaped}\\)`, 'g'), () => `(${type}.load ${offset} ${base})`)
      .replace(new RegExp(`\\(global\\.set ${escaped}(?=\\s)`, 'g'), () => `(${type}.store ${offset} ${base}`);
  }, text);
}
