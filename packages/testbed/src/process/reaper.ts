import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import type { Writable } from 'node:stream';

// Reads "add PID", "gone PID", "folder PATH" and "bye" lines; when the pipe closes without a "bye", however its writer died, it
// kills every process group still listed and removes the folders. On Linux it also finds a process that was started but not yet listed, by the
// mark in its environment. It runs in a session of its own: neither Ctrl-C nor a kill of the parent's group reaches it.
const SCRIPT = `
trap '' INT TERM HUP QUIT
pids=' '
while read -r verb what; do
  case $verb in
    add) pids="$pids$what " ;;
    gone) case $pids in *" $what "*) pids="\${pids%%" $what "*} \${pids#*" $what "}" ;; esac ;;
    folder) set -- "$@" "$what" ;;
    bye) exit 0 ;;
  esac
done
for pid in $pids; do kill -KILL -- "-$pid" 2>/dev/null; done
if [ -d /proc/self ]; then
  for environ in $(grep -alsF "KUIK_REAPER=$KUIK_REAPER_MARK" /proc/[0-9]*/environ); do
    pid=\${environ#/proc/}; pid=\${pid%/environ}
    [ "$pid" = "$$" ] || kill -KILL "$pid" 2>/dev/null
  done
fi
for folder in "$@"; do rm -rf -- "$folder"; done
`;

let pipe: Writable | undefined;
let mark = '';
let watched = 0;

/**
 * Starts the reaper when it does not run: call it before the process to watch is started.
 * Returns what that process must carry in its environment.
 */
export function wakeReaper(): Record<string, string> {
  if (!pipe) pipe = startReaper();
  return { KUIK_REAPER: mark };
}

function startReaper(): Writable {
  mark = randomUUID();
  const child = spawn('/bin/sh', ['-c', SCRIPT, 'kuik-reaper'], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin', KUIK_REAPER_MARK: mark },
  });
  child.unref();
  const stdin = child.stdin as Writable & { unref?: () => void };
  stdin.unref?.();
  // A reaper that was killed is replaced at the next start; what it watched is then this process's own duty.
  const forget = (): void => {
    if (pipe === stdin) pipe = undefined;
  };
  stdin.on('error', forget);
  child.on('exit', forget);
  child.on('error', forget);
  return stdin;
}

/** From now on the process group dies when this process does. */
export function watchProcess(pid: number): void {
  watched++;
  pipe?.write(`add ${pid}\n`);
}

/** The process ended by itself or by us. The reaper goes with the last one. */
export function forgetProcess(pid: number): void {
  pipe?.write(`gone ${pid}\n`);
  if (--watched > 0) return;
  pipe?.end('bye\n');
  pipe = undefined;
}

/** The folder is removed when this process dies without having done so itself. */
export function watchFolder(folder: string): void {
  pipe?.write(`folder ${folder}\n`);
}
