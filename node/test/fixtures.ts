/** Plugins for tests, written to a temporary folder that goes with the process. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = mkdtempSync(join(tmpdir(), "plugward-"));
process.on("exit", () => rmSync(root, { recursive: true, force: true }));
let count = 0;

/** A fresh folder with these files; answers its path. */
export function folder(files: Record<string, string | object>, name?: string): string {
  count += 1;
  const place = name === undefined ? join(root, `plugin${count}`) : join(root, String(count), name);
  mkdirSync(place, { recursive: true });
  for (const [file, content] of Object.entries(files)) {
    writeFileSync(join(place, file), typeof content === "string" ? content : JSON.stringify(content));
  }
  return place;
}

/** A module plugin with a manifest of Plugward's own words. */
export function modulePlugin(name: string, code: string, more: object = {}): string {
  const manifest = { name, kind: "node", entrypoint: "index.js", limits: { deadline_ms: 20_000 }, ...more };
  return folder({ "manifest.json": manifest, "index.js": code });
}

/** Waits until `holds` answers something truthy, at most a minute. */
export async function until<T>(holds: () => T): Promise<Exclude<T, false | null | undefined | 0 | "">> {
  const end = Date.now() + 60_000;
  for (;;) {
    const value = holds();
    if (value) return value as Exclude<T, false | null | undefined | 0 | "">;
    if (Date.now() > end) throw new Error(`never came true: ${String(holds)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
