/**
 * Manifests as text: JSON that says what an artifact is (`kind`), in which form (`version`), and, in a body that a zod schema checks, what is in
 * it. A checksum over the body finds every changed bit; a reader refuses what it does not know. Runs in browsers.
 */
import type { z } from 'zod';
import { ArtifactError, CorruptArtifactError } from '../errors.js';
import { crc32 } from './crc32.js';

const maxDepth = 100;

export interface ManifestForm<Schema extends z.ZodType> {
  /** What the artifact is, for example 'scone-fgrams'. */
  readonly kind: string;
  /** The one version of the body that this reader knows. */
  readonly version: number;
  /** The form of the body: everything but `kind`, `version` and `checksum`. */
  readonly schema: Schema;
}

/**
 * The text of a manifest: `kind`, `version`, the body's fields, and `checksum` (CRC-32 of the body's compact JSON).
 * @param name of the file, for errors
 * @param manifest the body must be plain JSON data; the names `kind`, `version` and `checksum` are taken, `__proto__` is refused
 * @throws {CorruptArtifactError}
 */
export function formatManifest(name: string, manifest: { kind: string; version: number; [field: string]: unknown }): string {
  const { kind, version, checksum: _, ...fields } = manifest;
  // Through JSON once, because that is what a reader sees: undefined fields are gone, integer-like keys are in order.
  const body = parseJson(name, JSON.stringify(fields));
  return textOf({ kind, version, ...body, checksum: checksumOf(body) });
}

const textOf = (manifest: Record<string, unknown>): string => `${JSON.stringify(manifest, null, 2)}\n`;

/**
 * Checks the text of a manifest.
 * @param name of the file, for errors
 * @returns the body as the schema gives it
 * @throws {ArtifactError} ARTIFACT_CORRUPT: not JSON, a changed bit, or an invalid field (named); ARTIFACT_KIND: another artifact;
 *   ARTIFACT_VERSION: a form this program does not know
 */
export function parseManifest<Schema extends z.ZodType>(
  name: string,
  text: string,
  { kind, version, schema }: ManifestForm<Schema>,
): z.output<Schema> {
  const manifest = parseJson(name, text);
  const { kind: foundKind, version: foundVersion, checksum, ...body } = manifest;
  if (foundKind !== kind) {
    const remedy = 'Give the path of the right artifact.';
    throw new ArtifactError('ARTIFACT_KIND', `${name}: kind is ${show(foundKind)}, expected ${show(kind)}`, remedy);
  }
  if (foundVersion !== version) {
    const newer = typeof foundVersion === 'number' && foundVersion > version;
    const remedy = newer ? 'Use a newer version of this program.' : 'Make this artifact again with this version of the program.';
    throw new ArtifactError('ARTIFACT_VERSION', `${name}: version ${show(foundVersion)} of ${kind}, this program reads ${version}`, remedy);
  }
  const parsed = schema.safeParse(body);
  if (!parsed.success) throw invalidField(name, parsed.error);
  if (checksum !== checksumOf(body)) {
    throw new CorruptArtifactError(`${name}: checksum is ${show(checksum)}, but the content has ${show(checksumOf(body))}`);
  }
  // JSON.parse takes the last of two fields of one name, and other spellings of a value: one content, one text.
  if (text !== textOf(manifest)) throw new CorruptArtifactError(`${name} is not as it was written: a field twice, or another spelling`);
  return parsed.data;
}

const utf8 = new TextEncoder();
const checksumOf = (body: unknown): string =>
  `crc32:${crc32(utf8.encode(JSON.stringify(body)))
    .toString(16)
    .padStart(8, '0')}`;

function parseJson(name: string, text: string): Record<string, unknown> {
  let value: unknown;
  try {
    expectShallow(text);
    // Copies of an object with a field of this name lose it, or get another prototype.
    const refuseProto = (key: string, field: unknown) => {
      if (key === '__proto__') throw new Error('a field is called __proto__');
      return field;
    };
    value = JSON.parse(text, text.includes('__proto__') ? refuseProto : undefined);
  } catch (error) {
    throw new CorruptArtifactError(`${name} cannot be read as JSON: ${error instanceof Error ? error.message : error}`, undefined, error);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new CorruptArtifactError(`${name} is ${show(value)}, expected a JSON object`);
  }
  return value as Record<string, unknown>;
}

/** What visits JSON calls itself once a level; nothing that deep is a manifest. */
function expectShallow(text: string): void {
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (inString) {
      if (char === '\\') at += 1;
      else if (char === '"') inString = false;
    } else if (char === '"') inString = true;
    else if (char === ']' || char === '}') depth -= 1;
    else if (char === '[' || char === '{') {
      depth += 1;
      if (depth > maxDepth) throw new Error(`nested deeper than ${maxDepth} levels`);
    }
  }
}

function invalidField(name: string, error: z.ZodError): CorruptArtifactError {
  const issue = error.issues[0]!;
  const field = issue.path.length > 0 ? issue.path.join('.') : 'the body';
  return new CorruptArtifactError(`${name}: ${field}: ${issue.message}`, undefined, error);
}

function show(value: unknown): string {
  const text = value === undefined ? 'missing' : JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
