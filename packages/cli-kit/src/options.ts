/** Options from the command line and a configuration file, checked by the command's schema; unknown keys are errors with a suggestion. */
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { type ParseError, parse, printParseErrorCode } from 'jsonc-parser';
import { z } from 'zod';
import { UsageError } from './errors.js';

export interface ParsedArguments {
  /** Keys as in the schema, values as written. */
  readonly values: Readonly<Record<string, unknown>>;
  /** Where each value was given: a file, `--set`, an option's name or place. */
  readonly sources: Readonly<Record<string, string>>;
  readonly json: boolean;
  readonly help: boolean;
}

const kebab = (key: string) => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** Edits that turn `a` into `b`. [Levenshtein, 1966] */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    row = next;
  }
  return row[b.length];
}

/** The known name that is nearest to a wrong one, if any is near. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const [best] = [...known].sort((a, b) => distance(name, a) - distance(name, b));
  return best !== undefined && distance(name, best) <= Math.max(2, name.length / 3) ? best : undefined;
}

interface OptionForm {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
}

/** What the schema says of each key, as JSON Schema. */
function optionForms(schema: z.ZodObject): Map<string, OptionForm> {
  return new Map(
    Object.entries(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }).properties ?? {}) as [string, OptionForm][],
  );
}

/** A text stays a text where a text is wanted, a list takes plain texts, repeated, or JSON; the rest is JSON. */
function parseValue(text: string, type: string | undefined, before: unknown): unknown {
  if (type === 'string') return text;
  if (type === 'array' && !text.startsWith('[')) return [...(Array.isArray(before) ? before : []), text];
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** JSON with comments. */
function readConfig(file: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    throw new UsageError(`--config: ${file} cannot be read`, 'Check the path.');
  }
  const problems: ParseError[] = [];
  const value: unknown = parse(text, problems, { allowTrailingComma: true });
  if (problems.length > 0)
    throw new UsageError(`--config: ${file}, byte ${problems[0].offset}: ${printParseErrorCode(problems[0].error)}`, 'Correct the file.');
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new UsageError(`--config: ${file} is no JSON object`, 'Correct the file.');
  // Editors take the schema from it.
  const { $schema: _, ...options } = value as Record<string, unknown>;
  return options;
}

/** An option's environment variable: `TOOL_MAX_TOKENS` for maxTokens. */
export const variableOf = (prefix: string, key: string) => `${prefix}_${kebab(key).replaceAll('-', '_').toUpperCase()}`;

export interface ParseOptions {
  /** Options that may be given by their place. */
  readonly positionals?: readonly string[];
  /** Options may be environment variables that begin so; the command line and a configuration file win over them. */
  readonly variables?: string | undefined;
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/** @param schema of the options @throws {UsageError} */
export function parseArguments(args: readonly string[], schema: z.ZodObject, options: ParseOptions = {}): ParsedArguments {
  const { positionals = [], variables, environment = process.env } = options;
  const forms = optionForms(schema);
  const keys = [...forms.keys()];
  const names = new Map(keys.map((key) => [kebab(key), key]));
  const values: Record<string, unknown> = {};
  const sources: Record<string, string> = {};
  const listed: Record<string, unknown> = {};
  const set = (key: string, value: unknown, where: string) => {
    if (!keys.includes(key)) {
      const near = nearest(key, keys);
      throw new UsageError(`${where}: there is no option '${key}'${near === undefined ? '' : `; did you mean '${near}'?`}`);
    }
    values[key] = value;
    sources[key] = where;
  };
  // A list on the command line starts anew, whatever a file said before.
  const setText = (key: string, text: string, where: string) => {
    set(key, parseValue(text, forms.get(key)?.type, listed[key]), where);
    listed[key] = values[key];
  };
  for (const key of variables === undefined ? [] : keys) {
    const variable = variableOf(variables ?? '', key);
    const text = environment[variable];
    if (text !== undefined) set(key, parseValue(text, forms.get(key)?.type, undefined), variable);
  }
  let json = false;
  let help = false;
  let placed = 0;
  for (let i = 0; i < args.length; i++) {
    const [, name, inline] = /^--([a-zA-Z][\w-]*)(?:=(.*))?$/s.exec(args[i]) ?? [];
    if (name === undefined) {
      const key = positionals[placed];
      if (key === undefined || args[i].startsWith('-')) throw new UsageError(`'${args[i]}' is no option`);
      placed += 1;
      setText(key, args[i], key.toUpperCase());
      continue;
    }
    if (name === 'json') json = true;
    else if (name === 'help') help = true;
    else {
      if (!names.has(name) && name !== 'config' && name !== 'set') {
        const near = nearest(name, [...names.keys(), 'config', 'set', 'json', 'help']);
        throw new UsageError(`unknown option --${name}${near === undefined ? '' : `; did you mean --${near}?`}`);
      }
      const isSwitch = forms.get(names.get(name) ?? '')?.type === 'boolean' && (args[i + 1] === undefined || args[i + 1].startsWith('--'));
      const text = inline ?? (isSwitch ? 'true' : args[++i]);
      if (text === undefined) throw new UsageError(`--${name} needs a value`);
      if (name === 'config') for (const [key, value] of Object.entries(readConfig(text))) set(key, value, text);
      else if (name === 'set') {
        const [, key, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
        if (key === undefined) throw new UsageError(`--set ${text}: expected key=value`);
        setText(key, value, '--set');
      } else setText(names.get(name) ?? name, text, `--${name}`);
    }
  }
  return { values, sources, json, help };
}

/** @throws {UsageError} naming the option and what is wrong with it */
export function checkConfig<Schema extends z.ZodObject>(schema: Schema, values: Readonly<Record<string, unknown>>): z.output<Schema> {
  const result = schema.safeParse(values);
  if (result.success) return result.data;
  const [{ path, message }] = result.error.issues;
  throw new UsageError(`--${kebab(String(path[0] ?? ''))}: ${message}`);
}

/** One line per option: name, default, description. */
export function describeOptions(schema: z.ZodObject): string[] {
  return [...optionForms(schema)].map(
    ([key, { description = '', default: preset }]) =>
      `  --${kebab(key).padEnd(20)} ${description}${preset === undefined ? '' : ` (default ${JSON.stringify(preset)})`}`,
  );
}
