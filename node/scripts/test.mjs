// Runs the compiled tests with Node's own runner, each file with a time limit.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const folder = join(root, "dist", "test");
const wanted = process.argv.slice(2);
const files = readdirSync(folder)
  .filter((name) => /\.test\.m?js$/.test(name) && (wanted.length === 0 || wanted.some((word) => name.includes(word))))
  .map((name) => join(folder, name));
if (files.length === 0) throw new Error("no test file matches");
const { status } = spawnSync(process.execPath, ["--test", "--test-timeout=120000", ...files], {
  stdio: "inherit",
  cwd: root,
  // The tests panic on purpose; one line of that is enough.
  env: { ...process.env, RUST_BACKTRACE: "0" },
});
process.exit(status ?? 1);
