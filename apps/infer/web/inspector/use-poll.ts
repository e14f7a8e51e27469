/** Asks again and again while somebody looks. */
import { useEffect, useState } from 'preact/hooks';

/**
 * @param ask called at once, and `everyMs` after each answer while `active` and the page is visible
 * @returns the last answer and what went wrong since
 */
export function usePoll<T>(
  ask: () => Promise<T>,
  active: boolean,
  everyMs: number,
  deps: readonly unknown[] = [],
): { value: T | undefined; error: unknown } {
  const [state, setState] = useState<{ value: T | undefined; error: unknown }>({ value: undefined, error: undefined });
  useEffect(() => {
    if (!active) return;
    let isLeft = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const next = async () => {
      if (!document.hidden) {
        try {
          const value = await ask();
          if (!isLeft) setState({ value, error: undefined });
        } catch (error) {
          if (!isLeft) setState(({ value }) => ({ value, error }));
        }
      }
      if (!isLeft) timer = setTimeout(next, everyMs);
    };
    void next();
    return () => {
      isLeft = true;
      clearTimeout(timer);
    };
  }, [active, everyMs, ...deps]);
  return state;
}
