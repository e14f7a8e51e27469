/** Loaded with `node --import` into a process or a worker thread whose calls are to be observed. */
import { followInheritedKill } from './kill-plan.mjs';
import { followInherited } from './nth-call.mjs';

if (!followInheritedKill()) followInherited();
