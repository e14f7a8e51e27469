/**
 * Who a process is and whether it still lives. A process id alone can be used again by another process, so on Linux
 * the start time and the boot go with it; a process of another machine is never taken for dead.
 */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';

export interface ProcessIdentity {
  readonly host: string;
  readonly pid: number;
  /** Start time in clock ticks since boot, a dot, and which boot; null where the system does not tell. */
  readonly started: string | null;
}

function startTimeOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the program's name in brackets and may hold spaces; the start time is the 22nd field.
    const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    // After the power failed, a process may well have the id and the ticks of one before.
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').slice(0, 8);
    return ticks === undefined ? null : `${ticks}.${boot}`;
  } catch {
    return null; // no /proc, or no such process: isAlive asks the system itself
  }
}

export function currentProcess(): ProcessIdentity {
  return { host: hostname(), pid: process.pid, started: startTimeOf(process.pid) };
}

/** False only where it is certain that the process is gone. */
export function isAlive({ host, pid, started }: ProcessIdentity): boolean {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    const gone = error instanceof Error && 'code' in error && error.code === 'ESRCH';
    if (gone) return false;
  }
  const now = startTimeOf(pid);
  return started === null || now === null || now === started;
}
