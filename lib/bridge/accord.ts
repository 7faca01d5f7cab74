/**
 * Accord: client and server mean the same by the bytes of an item. The server describes the codec of its queue, a struct by all
 * of its fields: name, type, place and bytes. A client that brings a codec along is refused unless it is the same in all that.
 */
import { CodecError } from '../memory/errors.ts';
import { type Codec, codec as codecs, definitions } from '../queue/codec.ts';
import { type FieldLayout, Struct, structOf } from '../queue/struct.ts';

interface Description {
  readonly name: string;
  /** Of a struct: what makes it, and what came of that. */
  readonly declared?: string;
  readonly layout?: readonly FieldLayout[];
}

/** What the server says of its codec. */
export function describe(codec: Codec<unknown>): string {
  const { name } = codec;
  const described = codec instanceof Struct ? { name, declared: codec.text, layout: codec.layout } : { name };
  return JSON.stringify(described satisfies Description);
}

/**
 * The codec that is described so: the one that the caller brought along, one of the library's, one that this thread has defined, or a
 * struct of the same fields. Throws CodecError when there is none, or when the caller's is another one.
 */
export function agree<T>(description: string, own: Codec<T> | undefined): Codec<T> {
  const { name, declared, layout } = JSON.parse(description) as Description;
  if (declared !== undefined && layout !== undefined && (own === undefined || own instanceof Struct)) {
    const struct = (own ?? structOf(declared)) as unknown as Struct<T>;
    const difference = differenceOf(struct.layout, layout);
    if (difference !== undefined) throw new CodecError('struct', difference);
    return struct as unknown as Codec<T>;
  }
  const known = own ?? (codecs as unknown as Record<string, Codec<T>>)[name] ?? (definitions.get(name) as Codec<T>);
  if (known?.name === name && 'encode' in known) return known;
  throw new CodecError(own?.name ?? name, `is not the codec of the queue, which is ${name}: see the option codec`);
}

/** Where two layouts differ first, in words. */
function differenceOf(ours: readonly FieldLayout[], theirs: readonly FieldLayout[]): string | undefined {
  for (let i = 0; i < Math.max(ours.length, theirs.length); i++) {
    const [our, their] = [ours[i], theirs[i]];
    if (!our) return `lacks the field ${their?.name}, which that of the queue has`;
    if (!their) return `has the field ${our.name}, which that of the queue has not`;
    if (our.name !== their.name) return `has the field ${our.name} where that of the queue has ${their.name}`;
    for (const what of ['type', 'at', 'bytes'] as const) {
      if (our[what] === their[what]) continue;
      const words = { type: 'as', at: 'at byte', bytes: 'of bytes:' }[what];
      return `has the field ${our.name} ${words} ${our[what]}, and that of the queue ${words} ${their[what]}`;
    }
  }
  return undefined;
}
