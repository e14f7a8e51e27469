/** Text of tokens as people can read it: white space is shown, and nothing moves the text around it. */

const SHOWN: Readonly<Record<string, string>> = { ' ': '␣', '\n': '↵', '\r': '␍', '\t': '⇥' };

/**
 * Blanks, line ends and tabs become ␣, ↵, ␍ and ⇥. What has no look of its own (other white space, control characters, marks of direction and
 * joining) becomes its code point, as in ⟨U+202E⟩.
 */
export function visibleText(text: string): string {
  return text.replace(
    /[\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu,
    (character) => SHOWN[character] ?? `⟨U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}⟩`,
  );
}
