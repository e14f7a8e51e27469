/** The frame of a page: its name, the ways to its parts, the choice of light or dark. */
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';

export interface Place {
  readonly href: string;
  readonly label: string;
}

export interface ShellProps {
  readonly name: string;
  readonly places: readonly Place[];
  /** The href of the place shown. */
  readonly current?: string;
  /** Stands beside the theme's choice. */
  readonly status?: ComponentChildren;
  readonly children: ComponentChildren;
}

const THEMES = ['auto', 'light', 'dark'] as const;

export function Shell({ name, places, current, status, children }: ShellProps) {
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="bar">
        <span class="name">{name}</span>
        <nav aria-label="Parts">
          {places.map(({ href, label }) => (
            <a key={href} href={href} aria-current={href === current ? 'page' : undefined}>
              {label}
            </a>
          ))}
        </nav>
        {status}
        <ThemeChoice />
      </header>
      <main id="main" tabIndex={-1}>
        {children}
      </main>
    </>
  );
}

function ThemeChoice() {
  const [theme, setTheme] = useState<(typeof THEMES)[number]>('auto');
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
  }, [theme]);
  return (
    <select aria-label="Theme" value={theme} onChange={(event) => setTheme(event.currentTarget.value as typeof theme)}>
      {THEMES.map((one) => (
        <option key={one}>{one}</option>
      ))}
    </select>
  );
}

/** What went wrong, said where it went wrong. */
export function Problem({ error }: { readonly error: unknown }) {
  if (error === undefined) return null;
  return (
    <p class="problem" role="alert">
      {error instanceof Error ? error.message : String(error)}
    </p>
  );
}
