/** `scone-train config`: what `run` would be given, and from where; or a schema of it for editors. */
import { defineCommand, formatTable } from '@sconelm/cli-kit';
import { z } from 'zod';
import { runShape } from './run.js';

export const configCommand = defineCommand({
  name: 'config',
  summary: 'the options of run as they come out, and where each is from',
  examples: [
    'scone-train config --config large.json --set learningRate=0.003 --print-resolved',
    'scone-train config --schema > run.schema.json      (then "$schema" in an editor completes and checks)',
  ],
  config: z.strictObject({
    ...runShape,
    printResolved: z.boolean().default(true).describe('one option a line'),
    schema: z.boolean().default(false).describe('JSON Schema of a configuration file instead'),
  }),
  run: async ({ config: { schema, printResolved: _, ...config }, sources, output }) => {
    if (schema) {
      const described = z.toJSONSchema(z.strictObject({ $schema: z.string().optional(), ...runShape }), { io: 'input' });
      output(described, `${JSON.stringify(described, null, 2)}\n`);
      return;
    }
    const resolved = Object.keys(runShape).map((key) => {
      const value: unknown = Reflect.get(config, key);
      return { key, value, from: sources[key] ?? (value === undefined ? 'not given' : 'default') };
    });
    output(
      resolved,
      formatTable([['option', 'value', 'from'], ...resolved.map(({ key, value, from }) => [key, JSON.stringify(value) ?? '', from])]),
    );
  },
});
