/** Where the sequences of a call are in a cache: in order, or each in a slot of its own. */
export interface Places {
  /** `lengths` are pairs of a slot and a length. */
  readonly slotted: boolean;
}

/** Declares `slot` and `length` of the workgroup's sequence. */
export const placeOf = ({ slotted }: Places): string =>
  slotted
    ? 'let slot = u32(lengths[2u * group.z]); let length = u32(lengths[2u * group.z + 1u]);'
    : 'let slot = group.z; let length = u32(lengths[group.z]);';
