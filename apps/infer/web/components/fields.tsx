/** Fields of forms, each with its name above it. */

export interface NumberFieldProps {
  readonly name: string;
  readonly label: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly step: number | 'any';
}

export function NumberField({ name, label, value, ...limits }: NumberFieldProps) {
  return (
    <span class="field">
      <label for={name}>{label}</label>
      <input id={name} name={name} type="number" required defaultValue={String(value)} {...limits} />
    </span>
  );
}

export interface SelectFieldProps {
  readonly name: string;
  readonly label: string;
  readonly options: readonly { readonly value: string; readonly text: string }[];
  readonly onChange?: (value: string) => void;
}

export function SelectField({ name, label, options, onChange }: SelectFieldProps) {
  return (
    <span class="field">
      <label for={name}>{label}</label>
      <select id={name} name={name} onChange={(event) => onChange?.(event.currentTarget.value)}>
        {options.map(({ value, text }) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </span>
  );
}
