/** Numbers with their names, set large. */
import type { ComponentChildren } from 'preact';

export interface Figure {
  readonly name: string;
  readonly value: ComponentChildren;
}

export function Figures({ figures }: { readonly figures: readonly (Figure | undefined)[] }) {
  return (
    <dl class="figures">
      {figures.map(
        (figure) =>
          figure !== undefined && (
            <div key={figure.name}>
              <dt>{figure.name}</dt>
              <dd>{figure.value}</dd>
            </div>
          ),
      )}
    </dl>
  );
}
