/** Loaded with `node --import` into a process or a worker thread whose calls are to be observed. */
import { followInherited } from './nth-call.mjs';

followInherited();
