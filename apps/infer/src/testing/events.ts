/** What came of a request, for tests. */
import type { GenerationEvent } from '../engine/request.js';

/** All events, without their times. */
export async function allOf(events: AsyncIterable<GenerationEvent>): Promise<object[]> {
  const all: object[] = [];
  for await (const event of events) all.push(event.kind === 'end' ? { kind: 'end', reason: event.reason } : event);
  return all;
}
