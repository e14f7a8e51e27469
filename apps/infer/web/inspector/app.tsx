/** The parts of the inspector, chosen by the address's fragment; prompts are never part of an address. */
import { useEffect, useState } from 'preact/hooks';
import { type Place, Shell } from '../components/shell.js';

const PLACES: readonly Place[] = [{ href: '#prompt', label: 'Prompt' }];

export function App() {
  const [place, setPlace] = useState(placeOf(location.hash) ?? PLACES[0].href);
  useEffect(() => {
    // Other fragments lead to a place in the page, and change no part.
    const change = () => setPlace((before) => placeOf(location.hash) ?? before);
    addEventListener('hashchange', change);
    return () => removeEventListener('hashchange', change);
  }, []);
  return (
    <Shell name="Scone" places={PLACES} current={place}>
      <h1>Prompt</h1>
    </Shell>
  );
}

const placeOf = (hash: string) => PLACES.find(({ href }) => href === hash)?.href;
