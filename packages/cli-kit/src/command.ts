/** Declared commands, and the one place that runs them: options, help, errors, exit codes, Ctrl-C. */
import process from 'node:process';
import type { z } from 'zod';
import { exitCodeOf, explained, InterruptedError, UsageError } from './errors.js';
import { checkConfig, describeOptions, nearest, parseArguments } from './options.js';
import { Progress } from './progress.js';

export interface CommandContext<Config> {
  readonly config: Config;
  /** Where each option was given; those that are not there have their defaults. */
  readonly sources: Readonly<Record<string, string>>;
  readonly progress: Progress;
  /** Aborted by the first Ctrl-C; the second kills. */
  readonly signal: AbortSignal;
  /** Text as it comes; nothing with --json. */
  readonly write: (text: string) => void;
  /** Results: the text, or with --json the data. */
  readonly output: (data: unknown, text: string) => void;
}

export interface Command {
  /** One word, or two: `store copy`. */
  readonly name: string;
  /** Options that may also be given by their place, in this order. */
  readonly positionals?: readonly string[];
  readonly summary: string;
  readonly examples: readonly string[];
  readonly config: z.ZodObject;
  run(context: CommandContext<unknown>): Promise<void>;
}

/** Declares a command; `run` gets the configuration that `config` describes. */
export function defineCommand<Schema extends z.ZodObject>(command: {
  readonly name: string;
  readonly positionals?: readonly (keyof z.input<Schema> & string)[];
  readonly summary: string;
  readonly examples: readonly string[];
  readonly config: Schema;
  run(context: CommandContext<z.output<Schema>>): Promise<void>;
}): Command {
  return { ...command, run: (context) => command.run(context as CommandContext<z.output<Schema>>) };
}

/** Where results and messages go. */
export interface Io {
  readonly out: (text: string) => unknown;
  readonly err: (text: string) => unknown;
}

const TERMINAL: Io = { out: (text) => process.stdout.write(text), err: (text) => process.stderr.write(text) };

export interface Program {
  readonly name: string;
  readonly summary: string;
  /** What --version says. */
  readonly version: string | (() => Promise<string>);
  /** Every option may also be an environment variable that begins so: `TOOL` for TOOL_MAX_TOKENS. */
  readonly variables?: string;
  readonly commands: readonly Command[];
}

function programHelp({ name, summary, commands }: Pick<Program, 'name' | 'summary' | 'commands'>): string {
  const width = Math.max(...commands.map((command) => command.name.length));
  return `${name}: ${summary}\n\n${commands.map((command) => `  ${command.name.padEnd(width)}  ${command.summary}`).join('\n')}\n\n${name} COMMAND --help says more.\n`;
}

function commandHelp({ name, variables }: Program, command: Command): string {
  const common = [
    '  --config FILE           options from a JSON file (comments allowed)',
    '  --set key=value         one option',
    '  --json                  results as JSON',
    ...(variables === undefined ? [] : [`\nEvery option may be an environment variable: ${variables}_..., in capitals with underscores.`]),
  ];
  const places = (command.positionals ?? []).map((key) => ` ${key.toUpperCase()}`).join('');
  return `${name} ${command.name}${places}: ${command.summary}\n\n${[...describeOptions(command.config), ...common].join('\n')}\n\nExamples:\n${command.examples.map((example) => `  ${example}`).join('\n')}\n`;
}

/** Runs a command line. @returns the exit code: 0 done, 1 failed, 2 bad usage, 130 interrupted */
export async function runProgram(program: Program, args: readonly string[], io: Io = TERMINAL): Promise<number> {
  const isJson = args.includes('--json');
  try {
    const [first, second] = args;
    if (first === undefined || first === '--help') {
      io.out(programHelp(program));
      return 0;
    }
    if (first === '--version') {
      io.out(`${typeof program.version === 'string' ? program.version : await program.version()}\n`);
      return 0;
    }
    const named = (words: string) => program.commands.find((candidate) => candidate.name === words);
    const command = named(`${first} ${second}`) ?? named(first);
    if (command === undefined) {
      const group = program.commands.filter((candidate) => candidate.name.startsWith(`${first} `));
      if (group.length > 0 && second === '--help') {
        io.out(programHelp({ ...program, commands: group }));
        return 0;
      }
      if (group.length > 0) {
        const known = group.map((candidate) => candidate.name).join(', ');
        throw new UsageError(`'${second === undefined ? first : `${first} ${second}`}' is no command; there are ${known}`);
      }
      const name = first;
      const near = nearest(
        name,
        program.commands.map((candidate) => candidate.name),
      );
      throw new UsageError(`there is no command '${name}'${near === undefined ? '' : `; did you mean '${near}'?`}`);
    }
    const { values, sources, json, help } = parseArguments(args.slice(command.name.split(' ').length), command.config, {
      ...(command.positionals === undefined ? {} : { positionals: command.positionals }),
      variables: program.variables,
    });
    if (help) {
      io.out(commandHelp(program, command));
      return 0;
    }
    const abort = new AbortController();
    const interrupt = () => {
      io.err('\ninterrupted: saving what is done\n');
      abort.abort(new InterruptedError());
    };
    process.once('SIGINT', interrupt);
    using _ = { [Symbol.dispose]: () => process.off('SIGINT', interrupt) };
    using progress = new Progress({ write: io.err });
    await command.run({
      config: checkConfig(command.config, values),
      sources,
      progress,
      signal: abort.signal,
      write: (text) => {
        if (!json) io.out(text);
      },
      output: (data, text) => io.out(json ? `${JSON.stringify(data)}\n` : text),
    });
    return 0;
  } catch (error) {
    const parts = explained(error);
    if (parts === undefined) throw error;
    if (isJson) io.out(`${JSON.stringify({ error: parts })}\n`);
    io.err(`error: ${parts.message}\n  -> ${parts.remedy}\n`);
    return exitCodeOf(error);
  }
}

/** Runs this process's command line and ends the process. */
export async function runMain(program: Program): Promise<void> {
  process.exit(await runProgram(program, process.argv.slice(2)));
}
