import { spawn } from 'node:child_process';
import { childEnvironment } from '@kuik/runtime';
import { NoAnswerInTime } from './renewed-logins.ts';

export interface PluginCall {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Written to its standard input. */
  readonly input: string;
  readonly timeoutMs: number;
}

const OUTPUT_MAX = 1024 * 1024;
const COMPLAINT_MAX = 200;

/**
 * Runs a program to its end and returns its standard output. Throws when it cannot be started, takes too long (NoAnswerInTime; it is killed
 * then), writes too much, or ends with another code than 0; of what it wrote to its error output the last line is told, without what may be a secret.
 */
export function runPlugin({ program, args, env, input, timeoutMs }: PluginCall): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [...args], { env: childEnvironment(env), stdio: ['pipe', 'pipe', 'pipe'] });
    const output: Buffer[] = [];
    let size = 0;
    let complaint = '';
    const end = (error: Error): void => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      reject(error);
    };
    const timer = setTimeout(() => end(new NoAnswerInTime(`no answer within ${timeoutMs} ms`)), timeoutMs);
    child.on('error', (error: NodeJS.ErrnoException) =>
      end(new Error(`cannot be run: ${error.code ?? error.message}`)),
    );
    child.stdout.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > OUTPUT_MAX) end(new Error(`it wrote more than ${OUTPUT_MAX} bytes`));
      else output.push(chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => (complaint = (complaint + chunk.toString('utf8')).slice(-2_000)));
    // One that reads nothing and ends early is judged by its answer.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve(Buffer.concat(output).toString('utf8'));
      else reject(new Error(`it ended with ${code === null ? signal : `code ${code}`}${said(complaint)}`));
    });
  });
}

function said(complaint: string): string {
  const line = complaint.trim().split('\n').at(-1) ?? '';
  const harmless = line.replace(/[A-Za-z0-9+/=_.-]{24,}/g, '[long text]').slice(0, COMPLAINT_MAX);
  return harmless === '' ? '' : `: ${harmless}`;
}
