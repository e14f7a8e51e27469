import { expect, it } from 'vitest';
import { openDevice } from '../device/open.js';
import { checkConformance } from './conformance.js';

it('this device gives what the interpreter gives', async () => {
  using device = await openDevice();
  for (const { name, error } of await checkConformance(device)) expect(error, name).toBeLessThan(2e-4);
});
