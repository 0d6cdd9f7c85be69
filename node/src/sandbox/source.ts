/**
 * The one construct that a context cannot be kept from by its globals: `import(...)`.
 *
 * Node answers it in a context without a loader with an error object of the *worker's* realm, whose
 * constructor leads to that realm's `Function`. So a script in which `import` is called is refused
 * before it runs. The check is lexical and errs on the side of refusing: `import (` inside a text or
 * comment is refused too. `harden` makes the escape worthless should the check ever be passed.
 */

const GAP = String.raw`(?:\s|/\*[\s\S]*?\*/|//[^\n\r\u2028\u2029]*|<!--[^\n\r\u2028\u2029]*|-->[^\n\r\u2028\u2029]*)*`;
const DYNAMIC_IMPORT = new RegExp(String.raw`(?<![\w$#])import${GAP}[(.]`, "u");

/** Why a script is not run at all, or `undefined`. */
export function refusal(source: string): string | undefined {
  if (DYNAMIC_IMPORT.test(source)) return "import() is not available to sandboxed scripts";
  return undefined;
}
