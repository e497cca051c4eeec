/** A lead that lies: what it answers is changed on the way, and nothing else. */
import { changed, type MemoryEndpoint } from '../memory-endpoint.ts';

// biome-ignore lint/suspicious/noExplicitAny: answers of every shape are changed
export type Change = (body: any) => unknown;

/**
 * Changes the JSON answers to paths, without their query, that end like the text or fit the pattern;
 * a change that gives nothing has changed the body itself. Gives what ends the lying.
 */
export function lie(endpoint: MemoryEndpoint, path: string | RegExp, change: Change): () => void {
  const honest = endpoint.intercept;
  endpoint.intercept = async (arrived, carry) => {
    const answer = await honest(arrived, carry);
    const [asked = ''] = arrived.path.split('?');
    const fits = typeof path === 'string' ? asked.endsWith(path) : path.test(asked);
    return fits && answer !== 'reset' && answer.status < 300 ? changed(answer, change) : answer;
  };
  return () => {
    endpoint.intercept = honest;
  };
}

/** Another value at a place such as `entries.2.digest`; undefined takes it out. */
export function at(place: string, value: unknown): Change {
  const names = place.split('.');
  const last = names.pop() ?? '';
  return (body) => {
    const holder = names.reduce((object, name) => object[name], body);
    if (value === undefined) delete holder[last];
    else holder[last] = value;
  };
}
