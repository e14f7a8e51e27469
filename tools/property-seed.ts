/** Properties are tried with the same values each time, so that a test that passed passes again; a stress run tries others. SCONE_SEED=N replays it. */
import fc from 'fast-check';

fc.configureGlobal({ seed: Number(process.env.SCONE_SEED ?? 1) });
