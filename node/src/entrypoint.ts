/**
 * What a manifest's entrypoint leads to, and whether it is a script or a module.
 *
 * A *module* exports something; a *script* exports nothing and declares `class Plugin`. Scripts run in
 * the sandbox, without `require`, `process` or `import()`. A file that has no manifest is always
 * taken for a script: nobody has said that it may be more.
 */
import { readFile } from "node:fs/promises";
import { extname, isAbsolute, join } from "node:path";

/** A file to run. */
export interface Entrypoint {
  readonly file: string;
  readonly exportName?: string | undefined;
  readonly sandboxed: boolean;
}

const EXPORTS = /(?:^|[^\w$.])(?:module\s*\.\s*exports|exports\s*(?:\.|\[|=))|^\s*export\s|^\s*import\s*(?:[\w${*"'])/mu;
const PLUGIN_CLASS = /(?:^|[^\w$.])class\s+Plugin\b/u;

/** Whether source text is a script rather than a module. */
export function isScript(source: string): boolean {
  return !EXPORTS.test(source) && PLUGIN_CLASS.test(source);
}

/** Resolves an entrypoint, `plugin.js` or `plugin.js:Export`, of the folder `dir`. */
export async function resolveEntrypoint(entrypoint: string, dir: string | null, bare: boolean): Promise<Entrypoint> {
  const split = /^(.+\.[cm]?[jt]s):([A-Za-z_$][\w$]*)$/u.exec(entrypoint);
  const place = split?.[1] ?? entrypoint;
  const file = isAbsolute(place) ? place : join(dir ?? process.cwd(), place);
  const source = await readFile(file, "utf8");
  const moduleByName = [".mjs", ".cjs"].includes(extname(file));
  return { file, exportName: split?.[2], sandboxed: bare || (!moduleByName && isScript(source)) };
}
